import { expect, test } from 'vitest';
import type { ImagePullSecret } from '../../connectors/image-pull-secrets.ts';
import { candidateGroups } from '../../kubelet/candidates.ts';
import { requestFor } from './requests.ts';

const vault = (registryEndpoint: string, secretId: string): ImagePullSecret => ({
  secretType: 'VAULT',
  registryEndpoint,
  secretId,
});

/** Keys, each with the names of its candidates. */
function keysOf(image: string, entries: readonly ImagePullSecret[], isPrincipals = false) {
  const groups = candidateGroups(requestFor(image), entries, isPrincipals);
  return Object.fromEntries(groups.map(({ key, candidates }) => [key, candidates.map(({ name }) => name).join(' ')]));
}

// The example of Container Instances' documentation, as it stands there.
const documented = [
  vault('example.registry.io/abc', 'secret.ocid.abc'),
  vault('example.registry.io/abc/one', 'secret.ocid.one'),
  vault('example.registry.io/abc/two', 'secret.ocid.two'),
];

test.each([
  [
    'abc/one',
    { 'example.registry.io/abc': 'imagePullSecrets[0]', 'example.registry.io/abc/one': 'imagePullSecrets[1]' },
  ],
  [
    'abc/two',
    { 'example.registry.io/abc': 'imagePullSecrets[0]', 'example.registry.io/abc/two': 'imagePullSecrets[2]' },
  ],
  ['abcd', { 'example.registry.io/abc': 'imagePullSecrets[0]' }],
  ['ab', {}],
  ['other', {}],
])('of the documented entries, %s has %j', (repository, expected) => {
  expect(keysOf(`example.registry.io/${repository}`, documented)).toEqual(expected);
});

test('entries of one endpoint share a key, in their order, and the principal comes last', () => {
  const entries = [vault('a.io', 'x'), vault('https://A.io/', 'y'), vault('a.io/v2/', 'z'), vault('b.io', 'w')];
  expect(keysOf('a.io/team/app', entries, true)).toEqual({
    'a.io': 'imagePullSecrets[0] imagePullSecrets[1] imagePullSecrets[2] the principal',
  });
  expect(keysOf('a.io/team/app', [vault('a.io/team', 'x')], true)).toEqual({
    'a.io/team': 'imagePullSecrets[0]',
    'a.io': 'the principal',
  });
});

test('a key names the host as the image does, which is all that the kubelet knows', () => {
  expect(keysOf('docker.io/library/nginx', [vault('index.docker.io/v1/', 'x')])).toEqual({
    'docker.io': 'imagePullSecrets[0]',
  });
});

test('a path that begins as an API root does keeps it, though the kubelet takes one away', () => {
  expect(keysOf('a.io/v2/team/app', [vault('a.io/v2/team', 'x')])).toEqual({
    'a.io/v2/v2/team': 'imagePullSecrets[0]',
  });
});
