import { expect, test } from 'vitest';
import { servedHosts } from '../../cli/served-hosts.ts';
import { buildCatalogue } from '../../connectors/catalogue.ts';

const catalogue = buildCatalogue([
  {
    apiVersion: 'connectors.alauda.io/v1alpha1',
    kind: 'Connector',
    metadata: { name: 'harbor', namespace: 'demo' },
    spec: { connectorClassName: 'oci', address: 'https://harbor.example.com' },
  },
]);
const own = ['oci-connector.oci-connector.svc', 'oci-connector.oci-connector.svc.k8s.example.com', '127.0.0.1'];
const isServed = servedHosts({ store: { catalogue }, clusterDomain: 'k8s.example.com', own });

test.each([...own, 'c-harbor.demo.svc', 'c-harbor.demo.svc.k8s.example.com'])('%s has a certificate', (host) => {
  expect(isServed(host)).toBe(true);
});

test.each([
  '',
  'localhost',
  'harbor.example.com',
  'c-harbor.demo',
  'c-harbor.demo.svc.cluster.local',
  'c-harbor.demo.svc.example.com',
  'c-harbor.demo.example.com',
  'c-harbor.other.svc',
  'c-other.demo.svc',
  'C-harbor.demo.svc',
  'c-harbor.demo.svc.',
  'c-harbor.demo.svc:443',
  'x.c-harbor.demo.svc',
  'oci-connector-webhook.oci-connector.svc',
])('%j has none', (host) => {
  expect(isServed(host)).toBe(false);
});
