import { describe, expect, it } from 'vitest';
import { emptyPullSecret, renewalReason, toPullSecret, withToken } from '../../controller/pull-secret.ts';

const HOUR_MS = 60 * 60_000;
const issuedAt = Date.UTC(2026, 0, 1);
const want = { imageHost: 'localhost:7450', audience: 'oci-connector', accountUid: 'account-1', now: issuedAt };

/** A token as the API server makes them, but for its signature. */
function tokenOf({ secretUid = 'secret-1', accountUid = 'account-1', audience = 'oci-connector' } = {}) {
  const claims = {
    aud: [audience],
    iat: issuedAt / 1000,
    exp: (issuedAt + HOUR_MS) / 1000,
    'kubernetes.io': { namespace: 'demo', secret: { uid: secretUid }, serviceaccount: { uid: accountUid } },
  };
  const token = `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.signature`;
  return { token, expiresAt: issuedAt + HOUR_MS };
}

function created(uid = 'secret-1') {
  const empty = emptyPullSecret('demo');
  return { ...empty, metadata: { ...empty.metadata, uid, resourceVersion: '1' } };
}

const filled = (token = tokenOf()) => withToken(created(), 'localhost:7450', token);

describe('a pull secret', () => {
  it('is for the image host, in the form that every client reads', () => {
    const { token } = tokenOf();
    const secret = filled();
    expect(JSON.parse(atob(secret.data?.['.dockerconfigjson'] ?? ''))).toEqual({
      auths: { 'localhost:7450': { username: 'oci-connector', password: token, auth: btoa(`oci-connector:${token}`) } },
    });
    expect(secret.type).toBe('kubernetes.io/dockerconfigjson');
    expect(secret.metadata.labels).toEqual({ 'app.kubernetes.io/managed-by': 'oci-connector' });
    expect(secret.metadata.annotations?.['connectors.cpaas.io/token-expires-at']).toBe('2026-01-01T01:00:00.000Z');
  });

  it('is updated in place, with what others have added', () => {
    const before = created();
    const others = {
      ...before,
      metadata: { ...before.metadata, annotations: { other: 'x' } },
      data: { other: 'eA==' },
    };
    const after = withToken(others, 'localhost:7450', tokenOf());
    expect(after.metadata).toMatchObject({ uid: 'secret-1', resourceVersion: '1', annotations: { other: 'x' } });
    expect(after.data).toMatchObject({ other: 'eA==' });
  });

  it('is kept in memory without its token', () => {
    const [, claims = ''] = tokenOf().token.split('.');
    const text = JSON.stringify(toPullSecret(filled()));
    expect(text).not.toContain(claims);
    expect(text).not.toContain(btoa(claims).slice(0, 40));
    expect(text).not.toContain('"data"');
  });
});

describe('a pull secret gets another token', () => {
  const edited = { ...filled(), data: { '.dockerconfigjson': btoa('{"auths":{}}') } };
  const damaged = { ...filled(), data: { '.dockerconfigjson': `${filled().data?.['.dockerconfigjson']}AAAA` } };
  it.each([
    { when: 'when it is new', secret: created(), reason: 'it holds no token of ours' },
    { when: 'when it was edited', secret: edited, reason: 'it holds no token of ours' },
    { when: 'when it was damaged', secret: damaged, reason: 'it holds no token of ours' },
    {
      when: 'when the key is gone',
      secret: { ...filled(), data: { other: 'eA==' } },
      reason: 'it holds no token of ours',
    },
    {
      when: 'when the image host is another',
      secret: withToken(created(), 'localhost:5000', tokenOf()),
      reason: 'its token is for localhost:5000',
    },
    {
      when: 'when the audience is another',
      secret: filled(tokenOf({ audience: 'else' })),
      reason: 'its token is for audience else',
    },
    {
      when: 'when it is a copy of another Secret',
      secret: filled(tokenOf({ secretUid: 'secret-0' })),
      reason: 'its token is bound to another Secret',
    },
    {
      when: 'when the account was made anew',
      secret: filled(tokenOf({ accountUid: 'account-0' })),
      reason: 'its token is of a ServiceAccount that is gone',
    },
    { when: 'never while it is good', secret: filled(), reason: undefined },
  ])('$when', ({ secret, reason }) => {
    expect(renewalReason(toPullSecret(secret), want)).toBe(reason);
  });

  it.each([
    { minutes: 0, isDue: false },
    { minutes: 41.9, isDue: false },
    { minutes: 48, isDue: true },
    { minutes: 70, isDue: true },
  ])('after $minutes minutes of an hour: $isDue', ({ minutes, isDue }) => {
    const secret = toPullSecret(filled());
    expect(renewalReason(secret, { ...want, now: issuedAt + minutes * 60_000 }) === 'its token is old').toBe(isDue);
  });

  it('at other times in other namespaces, spread evenly between 70 and 80 % of its life', () => {
    const times = Array.from({ length: 1000 }, (_, i) => {
      const secret = withToken(created(`secret-${i}`), 'localhost:7450', tokenOf({ secretUid: `secret-${i}` }));
      return ((toPullSecret(secret).token?.renewAt ?? 0) - issuedAt) / HOUR_MS;
    });
    expect(Math.min(...times)).toBeGreaterThanOrEqual(0.7);
    expect(Math.max(...times)).toBeLessThanOrEqual(0.8);
    for (const edge of [0.71, 0.73, 0.75, 0.77, 0.79]) {
      expect(times.filter((time) => Math.abs(time - edge) < 0.01).length).toBeGreaterThan(140);
    }
  });
});
