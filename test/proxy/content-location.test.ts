import { expect, test } from 'vitest';
import { contentLocation } from '../../proxy/content-location.ts';

const digest = `sha256:${'a1'.repeat(32)}`;
const asked = new URL('https://registry.example.com/v2/team/app/blobs/uploads/1?digest=x');
const base = '/v2/namespaces/demo/connectors/harbor/app/';

test.each([
  ['relative', `/v2/team/app/blobs/${digest}`, digest, `${base}blobs/${digest}`],
  ['absolute', `https://registry.example.com/v2/team/app/blobs/${digest}`, undefined, `${base}blobs/${digest}`],
  ['with an encoded colon', `/v2/team/app/blobs/${digest.replace(':', '%3A')}`, undefined, `${base}blobs/${digest}`],
  ['of another host', `https://cdn.example.com/${digest}`, digest, `${base}blobs/${digest}`],
  ['of another repository', `/v2/team/other/blobs/${digest}`, digest, `${base}blobs/${digest}`],
  ['of another host, without a digest', 'https://cdn.example.com/x', undefined, undefined],
  ['that is no address', 'http://[', undefined, undefined],
  ['of dots that are encoded', '/v2/team/app/manifests/%2e%2e%2f', digest, `${base}blobs/${digest}`],
])('a Location that is %s names what was pushed in the caller’s words', (_form, location, known, expected) => {
  const route = { endpoint: { kind: 'upload', sealed: 'x' }, base } as const;
  expect(contentLocation(location, asked, 'team/app', route, known)).toBe(expected);
});

test('a Location of a manifest names it by what the registry says', () => {
  const route = { endpoint: { kind: 'manifests', reference: 'v1' }, base } as const;
  const location = `https://registry.example.com/v2/team/app/manifests/${digest}`;
  expect(contentLocation(location, asked, 'team/app', route, undefined)).toBe(`${base}manifests/${digest}`);
  expect(contentLocation('https://elsewhere/', asked, 'team/app', route, digest)).toBe(`${base}manifests/${digest}`);
});
