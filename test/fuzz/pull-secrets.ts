import fc from 'fast-check';
import { entryProblem, isEntryFor, isEntryOf } from '../../connectors/image-pull-secrets.ts';
import { isOracleRegistry } from '../../credentials/oracle/hosts.ts';
import { parseConfiguration } from '../../kubelet/configuration.ts';
import { parseRequest } from '../../kubelet/request.ts';
import { type Fuzzed, fuzzed, mutated, promise } from './fuzzed.ts';

const hosts = fc.constantFrom('example.registry.io', 'docker.io', '[::1]:5000', 'fra.ocir.io', '127.0.0.1:5000');
const endpoints = fc.tuple(hosts, fc.constantFrom('', '/', '/abc', '/abc/one', '/v2/')).map((parts) => parts.join(''));

const entries = fuzzed(
  'registryEndpoint → whether it is for an image',
  fc.property(
    mutated(endpoints),
    hosts,
    fc.constantFrom('abc/one', 'abcd', 'library/nginx'),
    (endpoint, host, path) => {
      const entry = { secretType: 'VAULT', registryEndpoint: endpoint, secretId: 'ocid1.vaultsecret.x' } as const;
      const isFor = isEntryFor(entry, host, path);
      promise(!isFor || entryProblem(entry) === undefined, 'an entry that is wrong is for an image', endpoint);
      promise(!isFor || isEntryOf(entry, host), 'for an image of another host', endpoint);
      // A credential must never go to a host that the entry does not name.
      promise(
        !isFor || endpoint.toLowerCase().includes('docker.io') || endpoint.includes(host),
        'another host',
        endpoint,
      );
    },
  ),
);

const canary = 'c4n4ry-of-a-password';
const passwords = fuzzed(
  'entry of BASIC → what is wrong with it',
  fc.property(mutated(fc.constant(canary)), mutated(fc.base64String()), (username, password) => {
    const entry = { secretType: 'BASIC', registryEndpoint: 'example.com', username, password } as const;
    const problem = entryProblem(entry);
    promise(!JSON.stringify(problem ?? {}).includes(canary), 'the problem holds the value', problem);
  }),
);

const oracleHosts = fuzzed(
  'host → whether it is a registry of Oracle’s',
  fc.property(mutated(fc.constantFrom('fra.ocir.io', 'artifacts.eu-frankfurt-1.oci.oraclecloud.com')), (host) => {
    if (!isOracleRegistry(host)) return;
    const url = `https://${host}/`;
    promise(URL.canParse(url), 'no host', host);
    const { hostname, port, username } = new URL(url);
    promise(/(^|\.)(ocir\.io|oracle[a-z]*\d*\.[a-z]+(\.uk)?)$/.test(hostname), 'another domain', hostname);
    promise(port === '' && username === '', 'a port or a user', host);
  }),
);

const request = JSON.stringify({
  apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
  kind: 'CredentialProviderRequest',
  image: 'example.registry.io/abc/one',
  serviceAccountToken: 'e30.e30.e30',
});
const requests = fuzzed(
  'CredentialProviderRequest',
  fc.property(mutated(fc.constant(request)), (text) => {
    const parsed = parseRequest(Buffer.from(text));
    promise(parsed.ok || parsed.reason !== '', 'refused without a reason');
    promise(!parsed.ok || /^[^\s\0]+$/.test(parsed.request.image), 'an image that is none', text);
  }),
);

const configuration = `imagePullSecrets:
  - { secretType: VAULT, registryEndpoint: example.registry.io/abc, secretId: ocid1.vaultsecret.x }
  - { secretType: BASIC, registryEndpoint: example.registry.io, username: dQ==, password: cA== }
timeout: 10s
oracle: { domains: [example.com] }
log: { file: /tmp/log, level: info }
`;
const configurations = fuzzed(
  'configuration of the credential provider',
  fc.property(mutated(fc.constant(configuration)), (text) => {
    const read = parseConfiguration(text, 'file.yaml');
    promise(read.ok || read.problems.length > 0, 'refused without a reason');
    promise(read.ok || read.problems.every((problem) => problem.startsWith('file.yaml')), 'a problem without its file');
    promise(!read.ok || read.settings.invocation.timeoutMs > 0, 'no deadline');
  }),
);

export const pullSecrets: readonly Fuzzed[] = [entries, passwords, oracleHosts, requests, configurations];
