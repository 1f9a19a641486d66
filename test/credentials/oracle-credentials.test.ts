import { describe, expect, test } from 'vitest';
import type { OracleErrorCode } from '../../credentials/oracle/errors.ts';
import { OracleCredentials } from '../../credentials/oracle-credentials.ts';
import type { ProxyError } from '../../platform/errors.ts';
import { FakeOracle, oracleFailure } from './fake-oracle.ts';

const label = 'spec.imagePullSecrets[1]';
const secretId = 'ocid1.vaultsecret.oc1.eu-frankfurt-1.aaaa';
const ocir = 'https://fra.ocir.io';
const { signal } = new AbortController();
const minutes = (count: number) => count * 60_000;

/** Credentials of Oracle's cloud with a clock that stands still; tokens live for an hour. */
function open(furtherDomains: readonly string[] = [], isHttpAllowed = false) {
  const clock = { at: 1_000_000 };
  const oracle = new FakeOracle();
  oracle.login = () => ({ token: `token-${oracle.asked.length}`, expiresAt: clock.at + minutes(60) });
  oracle.secrets.set(secretId, { username: 'robot', password: 'first' });
  const credentials = new OracleCredentials({ oracle, furtherDomains, isHttpAllowed, now: () => clock.at });
  return {
    clock,
    oracle,
    credentials,
    registry: (origin = ocir, isFresh = false) => credentials.registry(origin, label, signal, isFresh),
    vault: (isFresh = false, id = secretId) => credentials.vault(id, label, signal, isFresh),
  };
}

const password = (text: string) => expect.objectContaining({ kind: 'password', password: text });
const failureOf = async (asked: Promise<unknown>): Promise<ProxyError> =>
  asked.then(
    () => undefined as never,
    (e) => e,
  );

describe('a login to Oracle’s registry', () => {
  test('is that of BEARER_TOKEN, and lasts for four fifths of its life', async () => {
    const { clock, oracle, registry } = open();
    expect(await registry()).toEqual({ kind: 'password', username: 'BEARER_TOKEN', password: 'token-1' });
    clock.at += minutes(48) - 1;
    expect(await registry()).toEqual(password('token-1'));
    expect(oracle.asked).toEqual(['registry fra.ocir.io']);
    clock.at += 1;
    expect(await registry()).toEqual(password('token-2'));
  });

  test('is another one for each registry', async () => {
    const { oracle, registry } = open();
    for (const origin of [ocir, 'https://iad.ocir.io', ocir, 'https://iad.ocir.io']) await registry(origin);
    expect(oracle.asked).toEqual(['registry fra.ocir.io', 'registry iad.ocir.io']);
  });

  test('is kept with Oracle away, until it expires', async () => {
    const { clock, oracle, registry } = open();
    await registry();
    oracle.failure = oracleFailure('Unavailable');
    clock.at += minutes(50);
    expect(await registry()).toEqual(password('token-1'));
    clock.at += minutes(10) - 1;
    expect(await registry()).toEqual(password('token-1'));
    clock.at += 1;
    await expect(registry()).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
    oracle.failure = undefined;
    clock.at += 10_000;
    expect(await registry()).toEqual(password(`token-${oracle.asked.length}`));
  });

  test('is forgotten where Oracle refuses the next', async () => {
    const { clock, oracle, registry } = open();
    await registry();
    clock.at += minutes(50);
    oracle.failure = oracleFailure('Denied');
    await expect(registry()).rejects.toMatchObject({ code: 'CONNECTOR_UNUSABLE' });
    oracle.failure = oracleFailure('Unavailable');
    clock.at += 10_000;
    await expect(registry()).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' });
  });

  test.each<[origin: string, furtherDomains: string[], isOracles: boolean, isHttpAllowed?: boolean]>([
    ['http://ocir.region.example.com', ['example.com'], false],
    ['http://fra.ocir.io', ['example.com'], false, true],
    ['https://fra.ocir.io', [], true],
    ['https://eu-frankfurt-1.ocir.io', [], true],
    ['https://ocir.us-ashburn-1.oci.oraclecloud.com', [], true],
    ['https://registry.example.com', [], false],
    ['https://fra.ocir.io.example.com', [], false],
    ['https://notocir.io', [], false],
    ['https://fra.ocir.io:8443', [], false],
    ['http://fra.ocir.io', [], false],
    ['http://fra.ocir.io', ['example.com'], false],
    ['https://ocir.region.example.com', ['example.com'], true],
    ['http://127.0.0.1:5000', ['127.0.0.1:5000'], true, true],
    ['http://127.0.0.1:5001', ['127.0.0.1:5000'], false],
    ['https://badexample.com', ['example.com'], false],
  ])(
    'is for Oracle’s hosts by HTTPS, and for further domains: %s, %j: %s',
    async (origin, domains, isOracles, isHttpAllowed) => {
      const { oracle, registry } = open(domains, isHttpAllowed);
      if (isOracles) await registry(origin);
      else {
        const { code, message } = await failureOf(registry(origin));
        expect(code).toBe('CONNECTOR_UNUSABLE');
        expect(message).toMatch(
          /^SourceForbidden: spec\.imagePullSecrets\[1\]: http.* is no registry of Oracle’s by HTTPS/,
        );
      }
      expect(oracle.asked).toEqual(isOracles ? [`registry ${new URL(origin).host}`] : []);
    },
  );
});

describe('a secret of the Vault', () => {
  const rotate = ({ oracle }: ReturnType<typeof open>, to: string) =>
    oracle.secrets.set(secretId, { username: 'robot', password: to });

  test('is read again after five minutes', async () => {
    const scene = open();
    await scene.vault();
    rotate(scene, 'second');
    scene.clock.at += minutes(5) - 1;
    expect(await scene.vault()).toEqual({ kind: 'password', username: 'robot', password: 'first' });
    scene.clock.at += 1;
    expect(await scene.vault()).toEqual(password('second'));
    expect(scene.oracle.asked).toHaveLength(2);
  });

  test('is read again at once where what is known is not believed, but not within ten seconds', async () => {
    const scene = open();
    await scene.vault();
    rotate(scene, 'second');
    for (let count = 0; count < 50; count += 1) expect(await scene.vault(true)).toEqual(password('first'));
    expect(scene.oracle.asked).toHaveLength(1);
    scene.clock.at += 10_000;
    expect(await scene.vault()).toEqual(password('first'));
    expect(await scene.vault(true)).toEqual(password('second'));
    expect(scene.oracle.asked).toHaveLength(2);
  });

  test('is kept with the Vault away, however long that takes', async () => {
    const { clock, oracle, vault } = open();
    await vault();
    oracle.failure = oracleFailure('Timeout');
    clock.at += minutes(24 * 60);
    for (const isFresh of [false, true]) expect(await vault(isFresh)).toEqual(password('first'));
    expect(oracle.asked).toHaveLength(2);
  });

  test.each<OracleErrorCode>(['Denied', 'NotAuthorizedOrNotFound', 'SecretMalformed', 'Misconfigured', 'Protocol'])(
    'is forgotten when it is told: %s',
    async (code) => {
      const { clock, oracle, vault } = open();
      await vault();
      clock.at += minutes(5);
      oracle.failure = oracleFailure(code);
      const { code: wire, message } = await failureOf(vault());
      expect(wire).toBe('CONNECTOR_UNUSABLE');
      expect(message).toMatch(new RegExp(`^Oracle${code}: spec\\.imagePullSecrets\\[1\\]: Oracle’s cloud, vault: `));
      await expect(vault()).rejects.toMatchObject({ code: 'CONNECTOR_UNUSABLE' });
      expect(oracle.asked).toHaveLength(2);
    },
  );

  test('is one for each OCID', async () => {
    const { oracle, vault } = open();
    oracle.secrets.set('ocid1.other', { username: 'other', password: 'other' });
    expect([await vault(), await vault(false, 'ocid1.other')]).toEqual([password('first'), password('other')]);
  });
});

describe('a failure', () => {
  test.each<[code: OracleErrorCode, retryAfterMs: number | undefined, pauseMs: number]>([
    ['Unavailable', undefined, 10_000],
    ['Unavailable', 2_000, 10_000],
    ['Limited', 30_000, 30_000],
    ['Limited', 3_600_000, 60_000],
    ['Denied', undefined, 10_000],
  ])('%s, with Retry-After %s, is remembered for %d ms', async (code, retryAfterMs, pauseMs) => {
    const { clock, oracle, vault } = open();
    oracle.failure = oracleFailure(code, retryAfterMs);
    const first = await failureOf(vault());
    oracle.failure = undefined;
    clock.at += pauseMs - 1;
    for (const isFresh of [false, true]) expect(await failureOf(vault(isFresh))).toMatchObject({ code: first.code });
    expect(oracle.asked).toHaveLength(1);
    clock.at += 1;
    expect(await vault()).toEqual(password('first'));
  });

  test.each<[code: OracleErrorCode, retryAfterMs: number | undefined, wire: string, retryAfter: string | undefined]>([
    ['Unavailable', undefined, 'UPSTREAM_UNREACHABLE', '10'],
    ['Timeout', undefined, 'UPSTREAM_TIMEOUT', '10'],
    ['Limited', 1_500, 'UPSTREAM_LIMITED', '2'],
    ['Denied', 1_500, 'CONNECTOR_UNUSABLE', undefined],
  ])('%s is told as what the caller may do about it', async (code, retryAfterMs, wire, retryAfter) => {
    const { oracle, vault } = open();
    oracle.failure = oracleFailure(code, retryAfterMs);
    const failure = await failureOf(vault());
    expect(failure).toMatchObject({ name: 'ProxyError', code: wire });
    expect(failure.headers['retry-after']).toBe(retryAfter);
    expect(failure.message).toContain(label);
    expect(failure.message).toContain('answered otherwise');
  });

  test('that is a defect stays one', async () => {
    const { oracle, vault } = open();
    oracle.failure = new TypeError('a defect');
    await expect(vault()).rejects.toThrow(TypeError);
  });

  test('of one secret is not that of another', async () => {
    const { oracle, vault } = open();
    await failureOf(vault(false, 'ocid1.none'));
    expect(await vault()).toEqual(password('first'));
    expect(oracle.asked).toHaveLength(2);
  });
});

describe('many who ask at once', () => {
  test('share one question', async () => {
    const { oracle, vault, registry } = open();
    const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => (at % 2 ? vault() : registry())));
    expect(answers).toHaveLength(100);
    expect(oracle.asked).toHaveLength(2);
  });

  test('lose nothing when one of them goes, and each is told by its own name', async () => {
    const { oracle, credentials } = open();
    const gate = Promise.withResolvers<void>();
    oracle.gate = gate.promise;
    const leaving = new AbortController();
    const gone = credentials.vault(secretId, 'a', leaving.signal);
    const failing = credentials.vault(secretId, 'b', signal);
    leaving.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    oracle.failure = oracleFailure('Denied');
    gate.resolve();
    expect((await failureOf(failing)).message).toMatch(/^OracleDenied: b: /);
    expect(oracle.asked).toHaveLength(1);
  });

  test('and all go leave no failure behind', async () => {
    const { oracle, credentials, vault } = open();
    const gate = Promise.withResolvers<void>();
    oracle.gate = gate.promise;
    const leaving = new AbortController();
    const gone = credentials.vault(secretId, label, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    gate.resolve();
    expect(await vault()).toEqual(password('first'));
  });
});

test('what is closed knows nothing any more', async () => {
  const { oracle, credentials, vault } = open();
  await vault();
  credentials.close();
  expect(oracle.isClosed).toBe(true);
  await vault();
  expect(oracle.asked).toHaveLength(2);
});
