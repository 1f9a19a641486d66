import { expect, test } from 'vitest';
import { parseRequest, requestBytesMax } from '../../kubelet/request.ts';
import { group, requestFor, requestText } from './requests.ts';

test.each(['v1', 'v1beta1', 'v1alpha1'])('a request of %s is read', (version) => {
  const apiVersion = `${group}/${version}`;
  expect(requestFor('fra.ocir.io/ns/team/app', { apiVersion, serviceAccountAnnotations: { a: 'b' } })).toEqual({
    apiVersion,
    image: 'fra.ocir.io/ns/team/app',
    host: 'fra.ocir.io',
    registry: 'fra.ocir.io',
    repository: 'ns/team/app',
    token: undefined,
  });
});

test('a service account token is read, and an empty one is none', () => {
  expect(requestFor('a.io/b', { serviceAccountToken: 'a.b.c' }).token).toBe('a.b.c');
  expect(requestFor('a.io/b', { serviceAccountToken: '' }).token).toBeUndefined();
});

test.each([
  ['docker.io/library/nginx', 'docker.io', 'docker.io', 'library/nginx'],
  ['index.docker.io/team/app', 'index.docker.io', 'docker.io', 'team/app'],
  ['Registry.Example.com:5000/a/b:v1', 'Registry.Example.com:5000', 'registry.example.com:5000', 'a/b'],
])('%s is at %s', (image, host, registry, repository) => {
  expect(requestFor(image)).toMatchObject({ host, registry, repository });
});

const canary = 'c4n4ry-t0k3n';
const canaryField = { serviceAccountToken: canary };
test.each<[string, string | Uint8Array, RegExp]>([
  ['nothing', '', /is empty/],
  ['white space', ' \n', /is empty/],
  ['no JSON', `{"serviceAccountToken": "${canary}`, /not one JSON object/],
  ['two objects', requestText('a.io/b', canaryField).repeat(2), /not one JSON object/],
  ['something behind', `${requestText('a.io/b', canaryField)} ${canary}`, /not one JSON object/],
  ['a NUL', `${requestText('a.io/b', canaryField)}\0`, /not one JSON object/],
  ['no UTF-8', Buffer.concat([Buffer.from(canary), Buffer.of(0xff)]), /not UTF-8/],
  ['a list', `["${canary}"]`, /no object/],
  ['null', 'null', /no object/],
  ['too much', Buffer.alloc(requestBytesMax + 1, 0x20), /more than 1048576 bytes/],
  ['an unknown version', requestText('a.io/b', { apiVersion: `${group}/v2`, ...canaryField }), /apiVersion is ".*v2"/],
  ['no version', requestText('a.io/b', { apiVersion: undefined }), /apiVersion is missing/],
  ['another kind', requestText('a.io/b', { kind: 'CredentialProviderResponse' }), /kind is "CredentialProviderR/],
  ['no image', JSON.stringify({ apiVersion: `${group}/v1`, kind: 'CredentialProviderRequest' }), /image is missing/],
  ['an image that is no text', requestText('', { image: 5 }), /image is missing, or no text/],
  ['an empty image', requestText(''), /image "" is no reference/],
  ['an image that is none', requestText('https://a.io/b'), /image "https:\/\/a.io\/b" is no reference/],
  ['an image with a line feed', requestText('a.io/b\nc'), /image "a.io\/b\?c" is no reference/],
  ['a token that is no text', requestText('a.io/b', { serviceAccountToken: {} }), /serviceAccountToken is not a token/],
  ['a token with a line feed', requestText('a.io/b', { serviceAccountToken: `${canary}\n` }), /is not a token/],
])('%s is refused with a reason that quotes no token', (_what, input, expected) => {
  const parsed = parseRequest(Buffer.from(input));
  expect(parsed).toEqual({ ok: false, reason: expect.stringMatching(expected) });
  expect(JSON.stringify(parsed)).not.toContain(canary);
});
