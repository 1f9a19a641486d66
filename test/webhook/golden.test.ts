import { expect, it } from 'vitest';
import { asksFor, mutate, podOf, podWith } from './fixtures.ts';

/** Complete patches, byte for byte: what an API server gets to see. */

const decision = (images: object[]) => JSON.stringify({ version: 1, images });

it('patches a plain pod', () => {
  expect(mutate(podOf('harbor.example.com/team/app:v1')).patch).toEqual([
    {
      op: 'replace',
      path: '/spec/containers/0/image',
      value: 'localhost:7450/namespaces/demo/connectors/harbor-team/team/app:v1',
    },
    { op: 'add', path: '/spec/imagePullSecrets', value: [{ name: 'oci-connector-pull' }] },
    {
      op: 'add',
      path: '/metadata/annotations',
      value: {
        'connectors.cpaas.io/decision': decision([
          {
            container: 'app',
            original: 'harbor.example.com/team/app:v1',
            rewritten: 'localhost:7450/namespaces/demo/connectors/harbor-team/team/app:v1',
            connector: 'demo/harbor-team',
            reason: 'Rewritten',
          },
        ]),
      },
    },
  ]);
});

it('patches a builder pod that asks for client configurations', () => {
  const pod = podWith(
    {
      containers: [
        { name: 'build', image: 'quay.io/buildah/stable:v1', env: [{ name: 'DOCKER_CONFIG', value: '/mine' }] },
        { name: 'tail', image: 'busybox', imagePullPolicy: 'Never', volumeMounts: [{ name: 'w', mountPath: '/w' }] },
      ],
      volumes: [{ name: 'w', emptyDir: {} }],
      imagePullSecrets: [{ name: 'mine' }],
    },
    { annotations: { ...asksFor('registry-config,buildkitd'), team: 'a' } },
  );
  const mount = { name: 'oci-connector-config', mountPath: '/etc/connectors/quay', readOnly: true };
  const authFile = { name: 'REGISTRY_AUTH_FILE', value: '/etc/connectors/quay/config.json' };
  const image = 'localhost:7450/namespaces/kube-public/connectors/quay/buildah/stable:v1';
  expect(mutate(pod).patch).toEqual([
    {
      op: 'add',
      path: '/spec/imagePullSecrets/1',
      value: { name: 'oci-connector-pull' },
    },
    {
      op: 'add',
      path: '/spec/volumes/1',
      value: {
        name: 'oci-connector-config',
        csi: {
          driver: 'connectors-csi',
          readOnly: true,
          volumeAttributes: {
            'configuration.names': 'registry-config,buildkitd',
            connectors: 'kube-public/quay',
            'token.expiration': '30m',
          },
        },
      },
    },
    { op: 'add', path: '/spec/containers/1/volumeMounts/1', value: mount },
    {
      op: 'add',
      path: '/spec/containers/1/env',
      value: [{ name: 'DOCKER_CONFIG', value: '/etc/connectors/quay' }, authFile],
    },
    { op: 'add', path: '/spec/containers/0/env/1', value: authFile },
    { op: 'replace', path: '/spec/containers/0/image', value: image },
    { op: 'add', path: '/spec/containers/0/volumeMounts', value: [mount] },
    {
      op: 'add',
      path: '/metadata/annotations/connectors.cpaas.io~1decision',
      value: decision([
        {
          container: 'build',
          original: 'quay.io/buildah/stable:v1',
          rewritten: image,
          connector: 'kube-public/quay',
          reason: 'Rewritten',
        },
        { container: 'tail', original: 'busybox', reason: 'PullPolicyNever' },
      ]),
    },
  ]);
});
