import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { candidatesToProbe } from '../../credentials/candidates.ts';
import { LocalGrants } from '../../credentials/local-grants.ts';
import { probeCandidates } from '../../credentials/probe-candidates.ts';
import { RegistryTransports } from '../../credentials/registry-transports.ts';
import { basicEntry, connectorWith, permissive } from './entries.ts';

const { signal } = new AbortController();
const passwordOf = (name: string) => `canary-7f3a-of-${name}`;

/** A registry that remembers the password of `first`, and repeats it when it answers `second` with `status`. */
async function open(status: number) {
  let learned = '';
  const server = createServer((request, response) => {
    const sent = Buffer.from(request.headers.authorization?.replace('Basic ', '') ?? '', 'base64').toString();
    if (sent === '') return void response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end('{}');
    const isFirst = sent.startsWith('first:');
    if (isFirst) learned = sent.slice('first:'.length);
    const body = JSON.stringify({ errors: [{ code: 'DENIED', message: `it was ${learned}, and ${learned}` }] });
    return void response.writeHead(isFirst ? 401 : status, { 'retry-after': '30' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const authority = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const imagePullSecrets = ['first', 'second'].map((name) => basicEntry(authority, name, passwordOf(name)));
  const connector = connectorWith({ address: `http://${authority}`, imagePullSecrets }, permissive());
  const transports = new RegistryTransports();
  onTestFinished(async () => {
    await transports.close();
    server.close();
  });
  return { connector, transports };
}

test.each([401, 403, 429, 500])(
  'what the puller is told holds no other password, where the second gets %d',
  async (status) => {
    const { connector, transports } = await open(status);
    const want = { connector, repository: 'team/app', actions: ['pull'], caller: { name: 'ci' } } as const;
    const grants = new LocalGrants({ transports });
    const error = await grants.grant(want, signal).catch((thrown) => thrown);
    expect(error.message).toContain('[redacted]');
    expect(error.message).not.toContain('canary');
  },
);

test.each([401, 403, 429, 500])(
  'what the condition tells holds no other password, where the second gets %d',
  async (status) => {
    const { connector, transports } = await open(status);
    const candidates = candidatesToProbe(connector, undefined, { oracle: undefined });
    const challenges = [{ scheme: 'basic', params: new Map() }];
    const shown: never[] = [];
    const question = { transport: transports.for(connector), challenges, repository: undefined, candidates, shown };
    const outcome = await probeCandidates({ ...question, now: Date.now }, { signal });
    expect(outcome).toMatchObject({ ok: false });
    expect(outcome.message).toContain('[redacted]');
    expect(outcome.message).not.toContain('canary');
    expect(shown).toHaveLength(2);
  },
);
