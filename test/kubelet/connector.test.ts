import { expect, test } from 'vitest';
import { answerWithToken, isForConnector } from '../../kubelet/connector.ts';
import { requestFor } from './requests.ts';

const image = 'localhost:7450/namespaces/demo/connectors/harbor/team/app';
const jwt = (claims: object): string =>
  ['{}', JSON.stringify(claims), 'signature'].map((part) => Buffer.from(part).toString('base64url')).join('.');
const answerTo = (token: string | undefined, now = 1_000_000) =>
  answerWithToken(requestFor(image, { serviceAccountToken: token }), now);

test('images at the address of the agent are its, and no others', () => {
  expect(isForConnector(requestFor(image), 'localhost:7450')).toBe(true);
  expect(isForConnector(requestFor('localhost:7451/a/b'), 'localhost:7450')).toBe(false);
  expect(isForConnector(requestFor('localhost/a/b'), 'localhost:7450')).toBe(false);
  expect(isForConnector(requestFor(image), undefined)).toBe(false);
});

test('the token is the password, as long as it lives less a minute', () => {
  const token = jwt({ exp: 4600 });
  expect(answerTo(token)).toEqual({
    cacheKeyType: 'Registry',
    expiresAt: 4_540_000,
    auth: { 'localhost:7450': { username: 'token', password: token } },
  });
});

test.each([
  ['ends soon', jwt({ exp: 1030 }), 1_000_000],
  ['does not say when it ends', jwt({}), undefined],
  ['says it in words', jwt({ exp: 'tomorrow' }), undefined],
  ['is no JWT', 'opaque', undefined],
])('a token that %s is not kept', (_what, token, expiresAt) => {
  expect(answerTo(token)).toMatchObject({ expiresAt, auth: { 'localhost:7450': { password: token } } });
});

test('one that has ended is not handed over', () => {
  expect(() => answerTo(jwt({ exp: 1000 }))).toThrow(/has expired.*clock/);
});

test('without a token the answer says what to configure', () => {
  expect(() => answerTo(undefined)).toThrow(
    /tokenAttributes.*cacheType: Token; requireServiceAccount: true where .* this address alone, false where .*request-serviceaccounts-token-audience/,
  );
});
