import { expect, it } from 'vitest';
import { asksFor, mutate, podOf, podWith, type Raw } from './fixtures.ts';

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
  const flags = { name: 'BUILDKITD_FLAGS', value: '--config=/etc/connectors/quay/buildkitd.toml' };
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
      value: [{ name: 'DOCKER_CONFIG', value: '/etc/connectors/quay' }, authFile, flags],
    },
    { op: 'add', path: '/spec/containers/0/env/1', value: authFile },
    { op: 'add', path: '/spec/containers/0/env/2', value: flags },
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

it('patches a new ephemeral container of a pod with client configurations, and nothing else', () => {
  const oldPod = mutate(podOf('harbor.example.com/app', { annotations: asksFor('dockerd,tool') })).pod as Raw;
  const debug = { name: 'debug', image: 'busybox', imagePullPolicy: 'Never', targetContainerName: 'app' };
  const pod = { ...oldPod, spec: { ...(oldPod['spec'] as Raw), ephemeralContainers: [debug] } };
  const volumeMounts = ['/etc/connectors/harbor', '/etc/docker', '/opt/tool'].map((mountPath) => ({
    name: 'oci-connector-config',
    mountPath,
    readOnly: true,
  }));
  expect(mutate(pod, { oldPod, operation: 'UPDATE', subresource: 'ephemeralcontainers' }).patch).toEqual([
    { op: 'add', path: '/spec/ephemeralContainers/0/volumeMounts', value: volumeMounts },
    {
      op: 'add',
      path: '/spec/ephemeralContainers/0/env',
      value: [{ name: 'TOOL_CONFIG', value: '/opt/tool/tool.json' }],
    },
  ]);
});
