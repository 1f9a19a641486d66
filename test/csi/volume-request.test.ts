import { status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { asCsiError } from '../../csi/errors.ts';
import { type PublishRequest, readVolumeRequest } from '../../csi/volume-request.ts';
import { type PublishOptions, publishRequest, tokensAttribute } from './support/kubelet.ts';

const target = '/var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/config/mount';

/** As @grpc/proto-loader hands it over. */
function requestOf(options: PublishOptions = {}, change: (request: PublishRequest) => object = () => ({})) {
  const request = publishRequest(target, options);
  const capability = { ...request.volume_capability, access_type: 'mount' as const };
  const read = { ...request, staging_target_path: '', volume_capability: capability };
  return { ...read, ...change(read) } as PublishRequest;
}

function refusalOf(request: PublishRequest): readonly [string, string] {
  try {
    readVolumeRequest(request);
  } catch (error) {
    const { code, message } = asCsiError(error);
    return [status[code], message];
  }
  throw new Error('it was not refused');
}

const wantOf = (attributes: Readonly<Record<string, string>>) => readVolumeRequest(requestOf({ attributes })).want;
const harbor = { namespace: 'demo', name: 'harbor' };

describe('a volume', () => {
  test('is what the pod says, and the token is the one for our audience', () => {
    const attributes = { connectors: 'demo/harbor', 'configuration.names': 'registry-config' };
    expect(readVolumeRequest(requestOf({ attributes, group: '2000' }))).toEqual({
      volumeId: 'csi-0123456789abcdef',
      targetPath: target,
      namespace: 'team',
      pod: 'team/app',
      token: 'pod-token',
      want: { connectors: [harbor], names: ['registry-config'], excluded: [], params: {} },
      groupId: 2000,
    });
  });

  test('has its token among the secrets where the cluster puts it there', () => {
    const request = requestOf({ token: 'secret-token', tokenIn: 'secrets' });
    expect(readVolumeRequest(request).token).toBe('secret-token');
    // Whoever wrote the pod may have written the attribute.
    const { volume_context } = requestOf({ token: 'forged' });
    expect(readVolumeRequest({ ...request, volume_context }).token).toBe('secret-token');
  });

  test.each<[string, Readonly<Record<string, string>>, object]>([
    [
      'a name is in the namespace of the pod',
      { connectors: 'ghcr' },
      { connectors: [{ namespace: 'team', name: 'ghcr' }] },
    ],
    [
      'the first of several stays the first, and none comes twice',
      { connectors: ' demo/harbor , ghcr,demo/harbor' },
      { connectors: [harbor, { namespace: 'team', name: 'ghcr' }] },
    ],
    [
      'the older names are understood',
      { 'connector.name': 'harbor', 'connector.namespace': 'demo' },
      { connectors: [harbor] },
    ],
    [
      'the older name alone is in the namespace of the pod',
      { 'connector.name': 'a' },
      { connectors: [{ namespace: 'team', name: 'a' }] },
    ],
    [
      'files can be left out',
      { connectors: 'demo/harbor', 'configuration.names': 'buildkitd, dockerd ,!.env, !ca.crt' },
      { names: ['buildkitd', 'dockerd'], excluded: ['.env', 'ca.crt'] },
    ],
    [
      'parameters are by configuration',
      { connectors: 'demo/harbor', 'configuration.params': '{"buildkitd":{"debug":"true"}}' },
      { params: { buildkitd: { debug: 'true' } } },
    ],
    ['empty parameters are none', { connectors: 'demo/harbor', 'configuration.params': ' ' }, { params: {} }],
    ['an expiry is noted', { connectors: 'demo/harbor', 'token.expiration': '1h30m' }, {}],
    ["the kubelet's own attributes are not ours", { connectors: 'demo/harbor', 'csi.storage.k8s.io/new': '1' }, {}],
  ])('%s', (_, attributes, want) => {
    expect(wantOf(attributes)).toMatchObject(want);
  });
});

const attributes = (more: Readonly<Record<string, string>>): PublishRequest =>
  requestOf({ attributes: { connectors: 'demo/harbor', ...more } });
const context = (change: Readonly<Record<string, string | undefined>>): PublishRequest =>
  requestOf({}, ({ volume_context: before }) => ({
    volume_context: Object.fromEntries(
      Object.entries({ ...before, ...change }).filter(([, value]) => value !== undefined),
    ),
  }));
const mount = (change: object): PublishRequest =>
  requestOf({}, ({ volume_capability: before }) => ({
    volume_capability: { ...before, mount: { ...before?.mount, ...change } },
  }));

describe('a volume is refused', () => {
  test.each<[string, PublishRequest, string, string]>([
    ['without an id', requestOf({ volumeId: '' }), 'INVALID_ARGUMENT', 'the volume id is missing'],
    [
      'with a long id',
      requestOf({ volumeId: 'x'.repeat(256) }),
      'INVALID_ARGUMENT',
      'the volume id is longer than 255',
    ],
    ['without a target', requestOf({}, () => ({ target_path: '' })), 'INVALID_ARGUMENT', 'the target path is missing'],
    [
      'without a capability',
      requestOf({}, () => ({ volume_capability: null })),
      'INVALID_ARGUMENT',
      'capability is missing',
    ],
    [
      'as a block device',
      requestOf({}, () => ({ volume_capability: { access_type: 'block', block: {} } })),
      'INVALID_ARGUMENT',
      'no block volumes',
    ],
    ['without an access type', requestOf({}, () => ({ volume_capability: {} })), 'INVALID_ARGUMENT', 'no access type'],
    ['with a file system', mount({ fs_type: 'ext4' }), 'INVALID_ARGUMENT', 'fsType is "ext4"'],
    ['with mount options', mount({ mount_flags: ['exec'] }), 'INVALID_ARGUMENT', 'no mount options'],
    [
      'with a group that is no number',
      requestOf({ group: 'root' }),
      'INVALID_ARGUMENT',
      'group of the volume is "root"',
    ],
    ['with a group beyond all', requestOf({ group: '4294967295' }), 'INVALID_ARGUMENT', 'has to be a number'],
    ['that can be written to', requestOf({ readonly: false }), 'INVALID_ARGUMENT', 'set csi.readOnly: true'],
    [
      'of a PersistentVolume',
      context({ 'csi.storage.k8s.io/ephemeral': 'false' }),
      'INVALID_ARGUMENT',
      'inline volumes only',
    ],
    [
      'without word of the pod',
      context({ 'csi.storage.k8s.io/ephemeral': undefined }),
      'INVALID_ARGUMENT',
      'podInfoOnMount',
    ],
    [
      'of a pod without namespace',
      context({ 'csi.storage.k8s.io/pod.namespace': undefined }),
      'INVALID_ARGUMENT',
      'podInfoOnMount',
    ],
    ['without a token', context({ [tokensAttribute]: undefined }), 'UNAUTHENTICATED', 'CSIDriver.spec.tokenRequests'],
    [
      'with a token for others',
      context({ [tokensAttribute]: '{"vault":{"token":"t"}}' }),
      'UNAUTHENTICATED',
      'other audiences',
    ],
    [
      'with tokens in bad JSON',
      context({ [tokensAttribute]: 'canary{' }),
      'INVALID_ARGUMENT',
      'not what the kubelet writes',
    ],
    [
      'with a token of the wrong kind',
      context({ [tokensAttribute]: '{"oci-connector":{"token":["canary"]}}' }),
      'INVALID_ARGUMENT',
      'not what the kubelet writes',
    ],
    ['with tokens without end', context({ [tokensAttribute]: 'x'.repeat(200_000) }), 'INVALID_ARGUMENT', 'too long'],
    ['without connectors', requestOf({ attributes: {} }), 'INVALID_ARGUMENT', 'connectors is missing'],
    [
      'with empty connectors',
      requestOf({ attributes: { connectors: ' ,' } }),
      'INVALID_ARGUMENT',
      'connectors is empty',
    ],
    [
      'with a bad connector',
      requestOf({ attributes: { connectors: 'a/b/c' } }),
      'INVALID_ARGUMENT',
      '"a/b/c" is no connector',
    ],
    [
      'with a connector by path',
      requestOf({ attributes: { connectors: '../x' } }),
      'INVALID_ARGUMENT',
      '"../x" is no connector',
    ],
    ['with old and new names', attributes({ 'connector.name': 'a' }), 'INVALID_ARGUMENT', 'exclude each other'],
    ['with a bad old name', requestOf({ attributes: { 'connector.name': 'A!' } }), 'INVALID_ARGUMENT', '"A!"'],
    [
      'with too many connectors',
      requestOf({ attributes: { connectors: Array.from({ length: 65 }, (_, at) => `c${at}`).join(',') } }),
      'INVALID_ARGUMENT',
      'more than 64',
    ],
    [
      'with an attribute that nobody knows',
      attributes({ 'configuration.name': 'x' }),
      'INVALID_ARGUMENT',
      '"configuration.name" is not known',
    ],
    [
      'with a very long attribute',
      attributes({ 'configuration.names': 'x,'.repeat(40_000) }),
      'INVALID_ARGUMENT',
      'longer than 8192',
    ],
    [
      'with a file by path',
      attributes({ 'configuration.names': '!../../etc/passwd' }),
      'INVALID_ARGUMENT',
      '"!../../etc/passwd" is no file',
    ],
    [
      'with the inner folder left out',
      attributes({ 'configuration.names': '!..data' }),
      'INVALID_ARGUMENT',
      '"!..data" is no file',
    ],
    ['with no file left out', attributes({ 'configuration.names': '!' }), 'INVALID_ARGUMENT', '"!" is no file'],
    [
      'with a long configuration',
      attributes({ 'configuration.names': 'x'.repeat(300) }),
      'INVALID_ARGUMENT',
      'too long',
    ],
    [
      'with too many configurations',
      attributes({ 'configuration.names': Array.from({ length: 65 }, (_, at) => at).join(',') }),
      'INVALID_ARGUMENT',
      'more than 64',
    ],
    [
      'with parameters in bad JSON',
      attributes({ 'configuration.params': '{canary' }),
      'INVALID_ARGUMENT',
      'configuration.params',
    ],
    [
      'with parameters that are a list',
      attributes({ 'configuration.params': '[]' }),
      'INVALID_ARGUMENT',
      'configuration.params',
    ],
    [
      'with a parameter that is no text',
      attributes({ 'configuration.params': '{"a":{"b":1}}' }),
      'INVALID_ARGUMENT',
      'configuration.params',
    ],
    [
      'with a short expiry',
      attributes({ 'token.expiration': '9m59s' }),
      'INVALID_ARGUMENT',
      '"9m59s": write a duration from 10m to 24h',
    ],
    ['with a long expiry', attributes({ 'token.expiration': '25h' }), 'INVALID_ARGUMENT', 'from 10m to 24h'],
    ['with an expiry without a unit', attributes({ 'token.expiration': '1800' }), 'INVALID_ARGUMENT', 'as 30m'],
  ])('%s', (_, request, code, message) => {
    const refusal = refusalOf(request);
    expect(refusal).toEqual([code, expect.stringContaining(message)]);
    expect(refusal[1]).not.toContain('canary');
    expect(refusal[1].length).toBeLessThan(400);
  });
});
