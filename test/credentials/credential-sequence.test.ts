import { describe, expect, onTestFinished, test } from 'vitest';
import type { Candidate } from '../../credentials/candidates.ts';
import { CredentialSequence, type SequenceWant } from '../../credentials/credential-sequence.ts';
import type { Grant, GrantWant } from '../../credentials/grant.ts';
import { originOf } from '../../credentials/grant-origin.ts';
import { ProxyError } from '../../platform/errors.ts';
import { type Account, accountOf, isTrial } from '../support/accounts.ts';
import { basic } from '../support/call.ts';
import { status, tooManyRequests } from '../support/faults.ts';
import { makeImage } from '../support/image.ts';
import { startRegistry } from '../support/registry.ts';
import { basicEntry, connectorWith, openSequence, permissive, secretIdOf, vaultEntry } from './entries.ts';
import { oracleFailure } from './fake-oracle.ts';

const app = 'team/app';
const none: readonly string[] = [];
const canary = (of: string) => `canary+${of}/7f "pass<word>"`;
const account = (name: string, pulls: readonly string[] = none, pushes: readonly string[] = none): Account => ({
  password: canary(name),
  pulls,
  pushes,
});
/** Three accounts, of which only the last may pull. */
const onlyThird = () => ({ one: account('one'), two: account('two'), three: account('three', [app]) });
const twoRight = () => ({ one: account('one', [app]), two: account('two', [app]) });

const authorizationOf = (grant: Grant) => (grant.kind === 'authorization' ? grant.value : undefined);
const labelOf = (grant: Grant) => originOf(grant)?.label;
const entry = (at: number) => `spec.imagePullSecrets[${at}]`;
const refusedBy = (grant: Grant, isForbidden: boolean): Partial<GrantWant> => ({
  refused: { grant, challenge: undefined, isForbidden },
});
const failureOf = (asked: Promise<unknown>): Promise<ProxyError> =>
  asked.then(
    () => {
      throw new Error('a grant, where there should be none');
    },
    (error: unknown) => {
      if (error instanceof ProxyError) return error;
      throw error;
    },
  );

describe('several credentials', () => {
  const denials = [
    ['the token server', { isDecidedByTokens: true }],
    ['403 of the registry', { lackingRightStatus: 403 }],
    ['401 of the registry', { lackingRightStatus: 401 }],
    ['404 of the registry', { lackingRightStatus: 404 }],
  ] as const;
  test.each(denials)(
    'are tried in sequence until one is let in, where the others are denied by %s',
    async (_by, how) => {
      const { exchanges, grant } = await openSequence(onlyThird(), { registry: how });
      const granted = await grant();
      expect(labelOf(granted)).toBe(entry(2));
      expect(accountOf({ headers: { authorization: granted.kind === 'authorization' ? granted.value : '' } })).toBe(
        'three',
      );
      expect(exchanges.map((line) => line.split(' ')[0])).toEqual(['one', 'two', 'three']);
    },
  );

  test('are remembered: the next pull from the repository costs one exchange and no trial', async () => {
    const { clock, exchanges, trials, grant } = await openSequence(onlyThird());
    await grant();
    expect(trials()).toEqual(['one', 'two', 'three']);
    exchanges.length = 0;
    await grant();
    expect(exchanges).toEqual([]);
    clock.at += 290_000;
    expect(labelOf(await grant())).toBe(entry(2));
    expect(exchanges).toEqual([`three 200 repository:${app}:pull`]);
    expect(trials()).toHaveLength(3);
  });

  test('are tried for each repository by itself', async () => {
    const accounts = { one: account('one', ['team/one']), two: account('two', ['team/two']) };
    const { grant } = await openSequence(accounts);
    expect(labelOf(await grant({ repository: 'team/two' }))).toBe(entry(1));
    expect(labelOf(await grant({ repository: 'team/one' }))).toBe(entry(0));
  });

  test('are tried only where their endpoint is for the repository', async () => {
    const accounts = { one: account('one', [app]), two: account('two', [app]) };
    const { registry, exchanges, grant } = await openSequence(accounts);
    const imagePullSecrets = [
      basicEntry(`${registry.authority}/other`, 'one', canary('one')),
      basicEntry(`${registry.authority}/team`, 'two', canary('two')),
    ];
    const connector = connectorWith({ address: registry.origin, imagePullSecrets });
    expect(labelOf(await grant({ connector }))).toBe(entry(1));
    expect(exchanges).toEqual([`two 200 repository:${app}:pull`]);
    const unmatched = await failureOf(grant({ connector, repository: 'nobody/app' }));
    expect(unmatched.code).toBe('CREDENTIAL_REFUSED');
    expect(exchanges[1]).toMatch(/^ 401/);
  });

  test('that one entry is enough for cost no trial', async () => {
    const { trials, grant } = await openSequence({ one: account('one', [app]) });
    expect(labelOf(await grant())).toBe(entry(0));
    expect(trials()).toEqual([]);
  });

  test('are asked for by 100 equal wants in one sequence', async () => {
    const { registry, exchanges, trials, grant } = await openSequence(onlyThird());
    const granted = await Promise.all(Array.from({ length: 100 }, () => grant()));
    expect(new Set(granted).size).toBe(1);
    expect(exchanges).toHaveLength(3);
    expect(trials()).toHaveLength(3);
    // A challenge, three lists of tags, and for two of them whether it is the tags alone.
    expect(registry.requests).toHaveLength(6);
  });
});

describe('a credential that worked', () => {
  test('and is refused by the token server gives way to the next', async () => {
    const { clock, accounts, grant } = await openSequence(twoRight());
    expect(labelOf(await grant())).toBe(entry(0));
    accounts['one'] = account('changed', [app]);
    clock.at += 290_000;
    expect(labelOf(await grant())).toBe(entry(1));
  });

  test.each([401, 403])('and whose grant the registry answers with %d gives way to the next', async (refusal) => {
    const { exchanges, grant } = await openSequence(twoRight());
    const first = await grant();
    const next = await grant(refusedBy(first, refusal === 403));
    expect(labelOf(next)).toBe(entry(1));
    expect(exchanges.map((line) => line.split(' ')[0])).toEqual(['one', 'two']);
    expect(await grant()).toBe(next);
  });

  test('stays where the others are no better, and there is an end to it', async () => {
    const accounts = { one: account('one', [app]), two: account('two') };
    const { exchanges, grant } = await openSequence(accounts);
    const first = await grant();
    exchanges.length = 0;
    const again = await grant(refusedBy(first, true));
    expect(labelOf(again)).toBe(entry(0));
    expect(exchanges.map((line) => line.split(' ')[0])).toEqual(['two', 'one']);
  });

  test('and is alone is not asked for again after a 403, which it can do nothing about', async () => {
    const { exchanges, grant } = await openSequence({ one: account('one', [app]) });
    const first = await grant();
    expect(await grant(refusedBy(first, true))).toBe(first);
    expect(exchanges).toHaveLength(1);
  });
});

// Open at /v2/, so that nothing was shown yet: the refusal is of nobody, and says nothing of a credential.
test('a registry that is open at /v2/ only is shown the credentials in their order', async () => {
  const { registry, grant } = await openSequence(twoRight());
  registry.faults.add({ match: { path: '/v2/' }, fault: status(200) });
  const anonymous = await grant();
  expect(anonymous.kind).toBe('anonymous');
  const challenge = `Bearer realm="${await realmOf(registry.origin)}"`;
  const granted = await grant({ refused: { grant: anonymous, challenge, isForbidden: false } });
  expect(granted.kind).toBe('authorization');
  expect(labelOf(granted)).toBe(entry(0));
});

async function realmOf(origin: string): Promise<string> {
  const { headers } = await fetch(`${origin}/v2/${app}/tags/list`);
  return /realm="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1] ?? '';
}

describe('a password in the Vault', () => {
  const inVault = { entries: ['vault:one', 'two'] };
  const rotate = (scene: Awaited<ReturnType<typeof openSequence>>, password: string) => {
    scene.accounts['one'] = { ...account('one', [app]), password };
    scene.oracle.secrets.set(secretIdOf('one'), { username: 'one', password });
  };

  test.each([[['vault:one']], [['vault:one', 'two']]])(
    'that was rotated is read again at once: %j',
    async (entries) => {
      const scene = await openSequence({ one: account('one', [app]), two: account('two') }, { entries });
      const { clock, oracle, exchanges, grant } = scene;
      await grant();
      exchanges.length = 0;
      rotate(scene, 'rotated');
      clock.at += 290_000;
      expect(labelOf(await grant())).toBe(entry(0));
      expect(oracle.asked).toHaveLength(2);
      expect(exchanges).toEqual([`one 401 repository:${app}:pull`, `one 200 repository:${app}:pull`]);
    },
  );

  test('that was rotated is read again after a 401 of the registry to what was made of it', async () => {
    const scene = await openSequence({ one: account('one', [app]) }, { entries: ['vault:one'] });
    const first = await scene.grant();
    rotate(scene, 'rotated');
    scene.clock.at += 10_000;
    expect(labelOf(await scene.grant(refusedBy(first, false)))).toBe(entry(0));
    expect(scene.oracle.asked).toHaveLength(2);
    expect(scene.exchanges.every((line) => line.startsWith('one 200'))).toBe(true);
  });

  test('that was rotated is read again for a registry with Basic, which refuses only what is asked for', async () => {
    const registry = await startRegistry({ auth: { kind: 'basic', username: 'one', password: 'first' } });
    onTestFinished(() => registry.close());
    registry.seed(app, makeImage(), ['v1']);
    const { clock, oracle, grant } = await openSequence({ one: account('one'), two: account('two') });
    oracle.secrets.set(secretIdOf('one'), { username: 'one', password: 'first' });
    const imagePullSecrets = [
      basicEntry(registry.authority, 'two', canary('two')),
      vaultEntry(registry.authority, 'one'),
    ];
    const connector = connectorWith({ address: registry.origin, imagePullSecrets }, permissive('one'));
    const first = await grant({ connector });
    expect([labelOf(first), authorizationOf(first)]).toEqual([entry(1), basic('one', 'first').authorization]);
    registry.setCredential('one', 'second');
    oracle.secrets.set(secretIdOf('one'), { username: 'one', password: 'second' });
    clock.at += 10_000;
    const second = await grant({ connector, ...refusedBy(first, false) });
    expect([labelOf(second), authorizationOf(second)]).toEqual([entry(1), basic('one', 'second').authorization]);
  });

  test('is read again after some minutes, and not for each repository', async () => {
    const { clock, oracle, grant } = await openSequence(
      { one: account('one', [app, 'a', 'b']) },
      { entries: ['vault:one'] },
    );
    for (const repository of ['a', 'b', app]) await grant({ repository });
    clock.at += 299_999;
    await grant({ repository: 'a' });
    expect(oracle.asked).toHaveLength(1);
    clock.at += 1;
    await grant({ repository: 'b' });
    expect(oracle.asked).toHaveLength(2);
  });

  test('that is wrong is not read more often than every ten seconds, however many ask', async () => {
    const scene = await openSequence({ one: account('one', [app]) }, { entries: ['vault:one'] });
    const { clock, oracle, grant } = scene;
    scene.accounts['one'] = account('changed', [app]);
    const wants = () => Promise.all(Array.from({ length: 20 }, (_, at) => failureOf(grant({ repository: `r${at}` }))));
    for (const { code } of await wants()) expect(code).toBe('CREDENTIAL_REFUSED');
    expect(oracle.asked).toHaveLength(1);
    clock.at += 9_999;
    await wants();
    expect(oracle.asked).toHaveLength(1);
    clock.at += 1;
    await wants();
    expect(oracle.asked).toHaveLength(2);
  });

  test('whose Vault is away gives way to the next credential', async () => {
    const { oracle, grant } = await openSequence(twoRight(), inVault);
    oracle.failure = oracleFailure('Unavailable');
    expect(labelOf(await grant())).toBe(entry(1));
  });

  test.each([
    ['Unavailable', 'UPSTREAM_UNREACHABLE', 502],
    ['Timeout', 'UPSTREAM_TIMEOUT', 504],
    ['Limited', 'UPSTREAM_LIMITED', 429],
  ] as const)(
    'whose Vault is away (%s), with no other that works, is an error that passes',
    async (code, wire, http) => {
      const { oracle, clock, grant } = await openSequence({ one: account('one', [app]), two: account('two') }, inVault);
      oracle.failure = oracleFailure(code, 7_000);
      const failure = await failureOf(grant());
      expect(failure).toMatchObject({ code: wire, status: http, headers: { 'retry-after': '7' } });
      expect(failure.message).toContain(entry(0));
      expect(failure.message).toContain(entry(1));
      oracle.failure = undefined;
      clock.at += 10_000;
      expect(labelOf(await grant())).toBe(entry(0));
    },
  );

  test('that is not to be had for good gives way, and is told by name', async () => {
    const { oracle, grant } = await openSequence({ one: account('one', [app]), two: account('two') }, inVault);
    oracle.secrets.clear();
    const { code, message } = await failureOf(grant());
    expect(code).toBe('CREDENTIAL_REFUSED');
    expect(message).toMatch(/spec\.imagePullSecrets\[0\]: Oracle.*answered 404/);
  });
});

describe('where no credential is let in', () => {
  const denied = () => ({ one: account('one'), two: account('two'), three: account('three') });
  const passwords = Object.values(denied()).map(({ password }) => password);
  const refusedWith = async (refusal: () => string) => {
    const entries = ['one', 'vault:two', 'three'];
    const { grant } = await openSequence(denied(), { entries, registry: { isDecidedByTokens: true, refusal } });
    return failureOf(grant());
  };

  test('each entry is named, with what was said of it', async () => {
    const { code, status: http, message } = await refusedWith(() => 'you may not');
    expect([code, http]).toEqual(['CREDENTIAL_REFUSED', 403]);
    expect(message).toMatch(/^none of 3 credentials lets the pull of team\/app through: /);
    expect(message.match(/you may not/g)).toHaveLength(3);
    expect(message.match(/spec\.imagePullSecrets\[\d\]/g)).toEqual([entry(0), entry(1), entry(2)]);
  });

  test('no credential is told, also where the registry repeats one when it refuses another', async () => {
    const spelled = passwords.flatMap((password) => [password, Buffer.from(password).toString('base64')]);
    const { message } = await refusedWith(() => `${spelled.join(' ')} ${passwords.map(encodeURIComponent)}`);
    const json = JSON.stringify(message);
    for (const password of passwords) {
      const spellings = [password, JSON.stringify(password).slice(1, -1), encodeURIComponent(password)];
      for (const text of [...spellings, Buffer.from(password).toString('base64')]) {
        expect(message).not.toContain(text);
        expect(json).not.toContain(text);
      }
    }
  });

  test('no credential is told, also not its beginning where what the registry says is cut off', async () => {
    const { message } = await refusedWith(() => `${'x'.repeat(270)} ${passwords[0]}`);
    expect(message).not.toContain(passwords[0]?.slice(0, 12));
  });

  test('nobody is asked again for five seconds', async () => {
    const accounts = { one: account('one'), two: account('two') };
    const { clock, exchanges, grant } = await openSequence(accounts);
    await failureOf(grant());
    expect(exchanges).toHaveLength(2);
    clock.at += 4_999;
    const [again, other] = [failureOf(grant()), failureOf(grant({ repository: 'team/other' }))];
    expect((await again).status).toBe(403);
    await other;
    expect(exchanges).toHaveLength(4);
    accounts.two = account('two', [app]);
    clock.at += 1;
    expect(labelOf(await grant())).toBe(entry(1));
  });

  test('entries that cannot be used are among what is told, and nobody is asked', async () => {
    const { registry, exchanges, grant } = await openSequence({ one: account('one') });
    const missing = {
      secretType: 'SECRET',
      registryEndpoint: registry.authority,
      secretRef: { name: 'none' },
    } as const;
    const vault = { secretType: 'VAULT', registryEndpoint: registry.authority, secretId: 'ocid1.x' } as const;
    const connector = connectorWith({ address: registry.origin, imagePullSecrets: [missing, vault] });
    const { code, status: http, message } = await failureOf(grant({ connector }));
    expect([code, http]).toEqual(['CONNECTOR_UNUSABLE', 503]);
    expect(message).toMatch(
      /SecretNotFound: spec\.imagePullSecrets\[0\].*SourceForbidden: spec\.imagePullSecrets\[1\]/,
    );
    expect(exchanges).toEqual([]);
  });
});

test('a repository that is not there is the registry’s to tell, with the first credential', async () => {
  const accounts = { one: account('one', [app]), two: account('two', [app]) };
  const { registry, grant } = await openSequence(accounts, { registry: { lackingRightStatus: 404 } });
  registry.faults.add({ match: { path: /\/tags\/list$/ }, fault: status(404) });
  const granted = await grant({ repository: 'team/none' });
  expect(labelOf(granted)).toBe(entry(0));
});

describe('a registry that cannot be asked stops the sequence', () => {
  test.each([
    ['limits the trial', tooManyRequests(5), 'UPSTREAM_LIMITED'],
    ['fails at the trial', status(503, { headers: { 'retry-after': '3' } }), 'UPSTREAM_UNREACHABLE'],
  ] as const)('when it %s', async (_what, fault, code) => {
    const { registry, exchanges, grant } = await openSequence(twoRight());
    registry.faults.add({ match: { path: /\/(?:tags\/list|manifests\/[^/]+)$/ }, times: 2, fault });
    const failure = await failureOf(grant());
    expect(failure.code).toBe(code);
    expect(failure.headers['retry-after']).toMatch(/^[35]$/);
    expect(exchanges.map((line) => line.split(' ')[0])).toEqual(['one']);
  });

  test.each([
    [429, 'UPSTREAM_LIMITED'],
    [503, 'UPSTREAM_UNREACHABLE'],
  ] as const)('when its token server answers %d', async (answered, code) => {
    const { fault, exchanges, grant } = await openSequence(twoRight());
    Object.assign(fault, { status: answered, headers: { 'retry-after': '5' } });
    expect((await failureOf(grant())).code).toBe(code);
    expect(exchanges).toHaveLength(1);
  });
});

describe('a push', () => {
  const pushing = { actions: ['pull', 'push'] } as const;
  test('is granted with the credential that pulls, and after its refusal with the next', async () => {
    const accounts = { reader: account('reader', [app]), writer: account('writer', [app], [app]) };
    const { exchanges, grant } = await openSequence(accounts);
    const first = await grant(pushing);
    expect(labelOf(first)).toBe(entry(0));
    const second = await grant({ ...pushing, ...refusedBy(first, true) });
    expect(labelOf(second)).toBe(entry(1));
    expect(await grant(pushing)).toBe(second);
    expect(labelOf(await grant())).toBe(entry(0));
    expect(exchanges).toEqual([
      `reader 200 repository:${app}:pull,push`,
      `writer 200 repository:${app}:pull,push`,
      `reader 200 repository:${app}:pull`,
    ]);
  });

  test('to a repository that is not there yet goes on with what the registry did not deny', async () => {
    const accounts = { one: account('one'), two: account('two', [], ['team/new']) };
    const { grant } = await openSequence(accounts);
    expect(labelOf(await grant({ ...pushing, repository: 'team/new' }))).toBe(entry(1));
  });
});

describe('what a sequence remembers', () => {
  const signal = new AbortController().signal;
  const candidate = (label: string): Candidate => ({
    label,
    isRemote: false,
    read: async () => ({ kind: 'password', username: label, password: label }),
  });

  test('of refusals has an end, and the oldest goes first', async () => {
    const sequence = new CredentialSequence({ now: () => 0 });
    const asked: string[] = [];
    const want = (key: string): SequenceWant => ({
      key,
      repository: key,
      candidates: [candidate('a')],
      grantWith: async () => {
        asked.push(key);
        throw new ProxyError('CREDENTIAL_REFUSED', 'no');
      },
      tryPull: async () => ({ verdict: 'allowed', message: '' }),
    });
    for (let at = 0; at <= 10_000; at += 1) await failureOf(sequence.obtain(want(`r${at}`), signal));
    asked.length = 0;
    await failureOf(sequence.obtain(want('r10000'), signal));
    expect(asked).toEqual([]);
    await failureOf(sequence.obtain(want('r0'), signal));
    expect(asked).toEqual(['r0']);
  });

  test('of a refusal lasts a minute; then the order is the administrator’s again', async () => {
    const clock = { at: 0 };
    const sequence = new CredentialSequence({ now: () => clock.at });
    const tried: string[] = [];
    const want: SequenceWant = {
      key: 'k',
      repository: app,
      candidates: [candidate('a'), candidate('b')],
      grantWith: async (_credential, { label }) => ({ kind: 'authorization', value: `Bearer ${label}`, expiresAt: 0 }),
      tryPull: async (grant) => {
        tried.push(grant.kind === 'authorization' ? grant.value : '');
        return { verdict: 'denied', message: 'no' };
      },
    };
    sequence.refused('k', 'a');
    await failureOf(sequence.obtain(want, signal));
    expect(tried.splice(0)).toEqual(['Bearer b', 'Bearer a']);
    clock.at += 60_000;
    await failureOf(sequence.obtain(want, signal));
    expect(tried).toEqual(['Bearer a', 'Bearer b']);
  });
});

test('trials carry the token of the credential that is tried, and no other', async () => {
  const { registry, grant } = await openSequence(onlyThird());
  await grant();
  expect(registry.requests.filter((request) => !isTrial(request)).map(({ url }) => url)).toEqual(['/v2/']);
  const paths = new Set(registry.requests.filter(isTrial).map(({ url }) => url));
  expect(paths).toEqual(new Set([`/v2/${app}/tags/list?n=1`, `/v2/${app}/manifests/sha256:${'0'.repeat(64)}`]));
});
