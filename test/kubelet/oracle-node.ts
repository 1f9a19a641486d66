import { existsSync, readFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import { makeImage } from '../support/image.ts';
import { type OracleCloud, startOracleCloud } from '../support/oracle/cloud.ts';
import { startRegistry } from '../support/registry.ts';
import type { Ended, Node } from './run-provider.ts';

/** Oracle's cloud with `team/app` and `team/secret` in its registry, for as long as the test runs. */
export async function startCloud(): Promise<OracleCloud> {
  const behind = await startRegistry();
  onTestFinished(() => behind.close());
  behind.seed('team/app', makeImage(), ['v1']);
  behind.seed('team/secret', makeImage(), ['v1']);
  const cloud = await startOracleCloud({ registryBehind: behind.origin });
  onTestFinished(() => cloud.close());
  return cloud;
}

/** Fields of a configuration that lead to a cloud. */
export function leadTo({ settings, registryHost }: OracleCloud): object {
  const { registryProtocol, ...urls } = settings;
  return { registryProtocol, oracle: { ...urls, domains: [registryHost] } };
}

/** Requests for a token that the principal signed. */
export const tokenCalls = ({ registryService }: OracleCloud): number =>
  registryService.requests.filter(({ headers }) => headers.authorization?.startsWith('Signature ')).length;

export const jwt = (claims: object): string =>
  ['{"alg":"RS256"}', JSON.stringify(claims), 'c4n4ry-signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');

/** Everything that runs leave for others to read. */
export function leftBy(node: Node, ...runs: readonly Ended[]): string {
  const logs = [node.logFile, `${node.logFile}.1`].filter((file) => existsSync(file));
  return [...logs.map((file) => readFileSync(file, 'utf8')), ...runs.map(({ stderr }) => stderr)].join('\n');
}
