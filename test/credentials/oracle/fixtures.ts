import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, onTestFinished, vi } from 'vitest';
import { OracleError } from '../../../credentials/oracle/errors.ts';
import { type OpenedOracle, openOracle } from '../../../credentials/oracle/open.ts';
import type { OracleSettings } from '../../../credentials/oracle/oracle.ts';
import { type OracleCloud, type OracleCloudOptions, startOracleCloud } from '../../support/oracle/cloud.ts';

export const secretId = 'ocid1.vaultsecret.oc1.eu-frankfurt-1.aaaasecret';

/** Of an answer that would write over the lines of whoever shows it. */
export const oddBody = { code: 'Evil\u202e\u001b[2J', message: 'Evil\u202e\u0085\u2028\n'.repeat(1000) };
export const plainMessage = /^(?!.*Evil)[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,300}$/u;

export const patience = (): AbortSignal => AbortSignal.timeout(20_000);

const said: string[] = [];

/** Keeps what the SDK prints, in each test of the file. */
export function keepConsole(): readonly string[] {
  beforeEach(() => {
    said.length = 0;
    for (const method of ['log', 'info', 'warn', 'error', 'debug'] as const) {
      vi.spyOn(console, method).mockImplementation((...parts) => void said.push(inspect(parts, { depth: 8 })));
    }
  });
  afterEach(() => void vi.restoreAllMocks());
  return said;
}

/** A cloud for one test, and what leads to it. */
export async function start(options?: OracleCloudOptions): Promise<OracleCloud> {
  const cloud = await startOracleCloud(options);
  onTestFinished(() => cloud.close());
  return cloud;
}

/** An instance of the cloud, or what else the settings say. */
export function open(cloud: OracleCloud, settings: Partial<OracleSettings> = {}): OpenedOracle {
  const oracle = openOracle({ auth: 'instance', environment: {}, ...cloud.settings, ...settings });
  onTestFinished(() => oracle.close());
  return oracle;
}

export async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'oracle-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** What a call fails with. Nothing in it, nor in anything that was printed meanwhile, is a secret of the cloud. */
export async function failureOf(cloud: OracleCloud, call: Promise<unknown>): Promise<OracleError> {
  const error = await call.then(
    (value) => expect.unreachable(`answered ${inspect(value)}`),
    (reason: unknown) => reason,
  );
  const told = [inspect(error, { depth: 10, showHidden: true }), ...said].join('\n');
  expect(cloud.canaries().filter((canary) => told.includes(canary))).toEqual([]);
  if (!(error instanceof OracleError)) throw error;
  return error;
}
