import { describe, expect, onTestFinished, test } from 'vitest';
import { probeLiveness } from '../../credentials/probe.ts';
import { probeAuthentication } from '../../credentials/probe-authentication.ts';
import { RegistryTransport } from '../../platform/transport.ts';
import { type RealRegistryOptions, registryParts, startRegistry } from '../real/support/distribution.ts';
import { requireParts } from '../real/support/parts.ts';
import { startTokenIssuer } from '../real/support/token-issuer.ts';

const right = { username: 'robot', password: 'canary/of the registry:credential' };
const wrong = { username: 'robot', password: 'another' };
const { signal } = new AbortController();

type Access = 'tokens' | 'Basic' | 'open';

async function accessOf(access: Access): Promise<RealRegistryOptions> {
  if (access === 'open') return {};
  if (access === 'Basic') return { access: { basic: right } };
  const issuer = await startTokenIssuer({ credential: right });
  onTestFinished(() => issuer.close());
  return { access: { issuer } };
}

for (const part of registryParts) {
  requireParts(part)(`the registry ${part}`, () => {
    describe('is probed', () => {
      test.each<[access: Access, credential: typeof right | undefined, repository: string | undefined, reason: string]>(
        [
          ['tokens', right, undefined, 'CredentialAccepted'],
          ['tokens', wrong, undefined, 'CredentialRefused'],
          ['tokens', right, 'team/none', 'RepositoryNotFound'],
          ['Basic', right, undefined, 'CredentialAccepted'],
          ['Basic', wrong, undefined, 'CredentialRefused'],
          ['Basic', right, 'team/none', 'RepositoryNotFound'],
          ['Basic', undefined, undefined, 'CredentialRequired'],
          ['open', undefined, undefined, 'NothingToProve'],
        ],
      )('with %s, credential %j and repository %s: %s', async (access, credential, repository, reason) => {
        const registry = await startRegistry(part, await accessOf(access));
        const transport = new RegistryTransport({ origin: registry.origin });
        onTestFinished(async () => {
          await transport.destroy();
          await registry.stop();
        });
        const password = credential && ({ kind: 'password', ...credential } as const);
        const liveness = await probeLiveness(transport, password, { signal });
        if (!liveness.ok) throw new Error(liveness.message);
        const question = {
          transport,
          challenges: liveness.challenges,
          credential: password,
          repository,
          now: Date.now,
        };
        expect(await probeAuthentication(question, { signal })).toMatchObject({ reason });
      });
    });
  });
}
