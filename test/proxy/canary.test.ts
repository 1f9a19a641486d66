import { describe, expect, test } from 'vitest';
import { secretTypes } from '../../connectors/schema.ts';
import { makeSelfSigned } from '../support/certificate.ts';
import * as faults from '../support/faults.ts';
import { findSecrets } from './support/canary.ts';
import {
  basic,
  content,
  echoing,
  echoingHead,
  echoingRedirect,
  failing,
  malformedEcho,
  play,
  type Scene,
  secrets,
  shapes,
  token,
  tokenPath,
  withSecret,
} from './support/canary-scene.ts';

describe('no secret is in any log line, answer, metric or error', () => {
  test.each<readonly [string, Scene, number[]]>([
    ['pulls that go well', {}, [200]],
    ['pulls from a registry with Basic authentication', { auth: basic }, [200]],
    ...[400, 401, 403, 404, 429, 500].flatMap(failing),
    [
      'a registry that repeats the token in the head of what it has',
      { rules: [{ match: content, fault: echoingHead }] },
      [200],
    ],
    [
      'a registry that repeats the password in the head of what it has',
      { auth: basic, rules: [{ match: content, fault: echoingHead }] },
      [200],
    ],
    ['a registry that repeats the token in a redirect', { rules: [{ match: content, fault: echoingRedirect }] }, [502]],
    [
      'a registry that repeats the password in a redirect',
      { auth: basic, rules: [{ match: content, fault: echoingRedirect }] },
      [502],
    ],
    ['a credential that is refused', { auth: { ...token, password: 'another' } }, [403]],
    ['a Basic credential that is refused', { auth: { ...basic, password: 'another' } }, [403]],
    ['a token that is refused again and again', { auth: { ...token, grantAccess: () => [] } }, [403]],
    [
      'a token server that answers nonsense',
      { rules: [{ match: tokenPath, fault: echoing(200, shapes[0] ?? String) }] },
      [502],
    ],
    ['a token server that answers what is no HTTP', { rules: [{ match: tokenPath, fault: malformedEcho }] }, [502]],
    ['a registry that answers what is no HTTP', { rules: [{ match: content, fault: malformedEcho }] }, [502]],
    [
      'a registry that answers too many headers',
      { rules: [{ match: content, fault: faults.hugeHeaders(100_000) }] },
      [502],
    ],
    ['a registry that hangs up', { rules: [{ match: content, fault: faults.resetBeforeHeaders }] }, [502]],
    ['a registry that hangs up in the middle', { rules: [{ match: content, fault: faults.resetAfter(10) }] }, [200]],
    ['a registry that sends us in a circle', { rules: [{ match: content, fault: faults.redirectLoop }] }, [502]],
    [
      'a registry that sends us where we must not go',
      { rules: [{ match: content, fault: faults.redirectedTo('http://169.254.169.254/') }] },
      [502],
    ],
    [
      'a challenge that repeats the request',
      {
        auth: {
          ...token,
          grantAccess: () => [],
          challengeHeader: ({ realm }) => `Bearer realm="${realm}",error="${secrets.grant}"`,
        },
      },
      [403],
    ],
    [
      'a challenge that nobody knows',
      { auth: { ...basic, challengeHeader: `Negotiate ${btoa(secrets.password)}` } },
      [502],
    ],
    ['a realm that is none', { auth: { ...token, realm: `http://[${encodeURIComponent(secrets.password)}` } }, [502]],
    ['a registry with an unknown certificate', { registry: { tls: makeSelfSigned(), hostname: 'localhost' } }, [502]],
    ['a registry that is not there', { address: 'http://127.0.0.1:1' }, [502]],
    [
      'a proxy of the environment that is not there',
      {
        address: 'http://registry.example.com',
        proxy: { transports: { proxies: { httpProxy: `http://u:${secrets.environment}@127.0.0.1:1` } } },
      },
      [502],
    ],
    [
      'a proxy of the environment that is none',
      {
        address: 'http://registry.example.com',
        proxy: { transports: { proxies: { httpProxy: `socks://u:${secrets.environment}@127.0.0.1:1` } } },
      },
      [502],
    ],
    [
      'a connector with a Secret of the wrong type',
      { proxy: withSecret('Opaque', { password: secrets.password }) },
      [503],
    ],
    [
      'a connector with half a Secret',
      { proxy: withSecret(secretTypes.basicAuth, { passwort: secrets.password, password: '' }) },
      [503],
    ],
    [
      'a connector whose user name has a colon',
      { proxy: withSecret(secretTypes.basicAuth, { username: `a:${secrets.password}`, password: 'x' }) },
      [503],
    ],
    [
      'a connector with a broken docker configuration',
      { proxy: withSecret(secretTypes.dockerConfigJson, { '.dockerconfigjson': `{"auths": {"${secrets.password}` }) },
      [503],
    ],
    [
      'a connector with a docker configuration for another registry',
      {
        proxy: withSecret(secretTypes.dockerConfigJson, {
          '.dockerconfigjson': JSON.stringify({
            auths: { 'other.example.com': { auth: btoa(`a:${secrets.password}`) } },
          }),
        }),
      },
      [503],
    ],
    ['a connector whose CA is the password', { connector: { ca: secrets.password } }, [503]],
    ['a caller that is not known', { authorization: `Bearer ${secrets.stranger}` }, [401]],
    ['a caller that is not known, with Basic', { authorization: `Basic ${btoa(`x:${secrets.stranger}`)}` }, [401]],
    ['a caller with a strange Authorization', { authorization: `Digest ${secrets.stranger} ${secrets.caller}` }, [401]],
  ])('of %s', async (_what, scene, expected) => {
    const { canary, statuses } = await play(scene);
    expect(await canary.leaks(secrets)).toEqual([]);
    if (expected.length > 0) expect(statuses).toEqual(expected);
    expect(canary.logs.length).toBeGreaterThanOrEqual(3);
  });
});

describe('a secret would be found', () => {
  test.each(Object.values(secrets))('in any spelling, anywhere in a text: %s', (secret) => {
    const bytes = Buffer.from(secret);
    const spellings = [
      secret,
      JSON.stringify({ message: secret }),
      JSON.stringify({ body: JSON.stringify({ message: secret }) }),
      encodeURIComponent(secret),
      encodeURIComponent(secret).toLowerCase(),
      new URLSearchParams({ password: secret }).toString(),
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      ...[0, 1, 2, 3, 4].flatMap((length) =>
        (['base64', 'base64url'] as const).map((encoding) =>
          Buffer.from(`${'u'.repeat(length)}${secret}:`).toString(encoding),
        ),
      ),
    ];
    for (const spelling of spellings) {
      expect(findSecrets(`before ${spelling} behind`, { it: secret })).not.toEqual([]);
    }
    expect(findSecrets('nothing of the kind', { it: secret })).toEqual([]);
  });

  test('in each of the places that are looked at', async () => {
    const { canary } = await play({ registry: { auth: token }, annotations: { note: secrets.password } });
    canary.log.trace({ note: { deep: [secrets.grant] } }, 'planted');
    canary.metrics.proxyErrors.inc({ connector: secrets.environment, code: '' });
    expect(await canary.leaks(secrets)).toEqual([
      'log: grant raw',
      'log: grant in JSON',
      'log: grant in JSON in JSON',
      'answer: password in JSON',
      'metrics: environment raw',
      'metrics: environment in JSON',
      'metrics: environment in JSON in JSON',
    ]);
  });

  test('in an error that nobody expected, and in the line that it makes', async () => {
    const identify = () => {
      throw new Error(`not ${secrets.caller}`);
    };
    const { canary, statuses } = await play({ proxy: { callers: { identify } } });
    expect(statuses).toEqual([500]);
    const found = (await canary.leaks(secrets)).filter((leak) => leak.endsWith('raw'));
    expect(found).toEqual(['log: caller raw', 'error: caller raw']);
  });
});
