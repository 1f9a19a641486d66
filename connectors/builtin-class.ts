import { type Configuration, type ConnectorClass, connectorApiVersion, secretTypes } from './schema.ts';

/** The folder of the files: where the webhook mounts them, unless a pod says that it is another. */
const folder = `index .configurations "mountPath" | default (printf "/etc/connectors/%s" .connector.metadata.name)`;

const mountPath = {
  name: 'mountPath',
  type: 'string',
  default: '',
  description: 'Folder where the volume is mounted; /etc/connectors/<first connector> if empty.',
};
const scheme = {
  name: 'scheme',
  type: 'string',
  default: 'http',
  description: '"http", or "https" to verify the proxy by ca.crt.',
};

/** Go programs read every file of these folders for certificates, beside the system's bundle. */
const trust = { name: 'SSL_CERT_DIR', value: '$(MOUNT_PATH):/etc/ssl/certs:/etc/pki/tls/certs' };

/** Credentials of the proxy's hosts, as docker, buildkit, buildah, crane, ko, kaniko, oras and cosign read them. */
const configJson = `{
  "auths": {
{{- range $at, $connector := .connectors }}{{ if $at }},{{ end }}
    "{{ (urlParse $connector.status.proxyAddress).host }}": {
      "auth": "{{ printf "token:%s" $.context.token | b64enc }}"
    }
{{- end }}
  }
}
`;

const registryConfig = (name: string): Configuration => ({
  name,
  data: { 'config.json': configJson },
  injection: {
    env: [
      { name: 'DOCKER_CONFIG', value: '$(MOUNT_PATH)' },
      { name: 'REGISTRY_AUTH_FILE', value: '$(MOUNT_PATH)/config.json' },
      // crane, ko and kaniko ask by HTTPS, and never by HTTP unless told.
      trust,
    ],
  },
});

const buildkitd: Configuration = {
  name: 'buildkitd',
  params: [scheme, mountPath],
  data: {
    'buildkitd.toml': `{{- $folder := ${folder} -}}
{{- $scheme := index .configurations "scheme" -}}
{{- range .connectors -}}
[registry."{{ (urlParse .status.proxyAddress).host }}"]
{{- if eq $scheme "https" }}
  ca = ["{{ $folder }}/ca.crt"]
{{- else }}
  http = true
{{- end }}
{{ end -}}
`,
  },
  injection: { env: [{ name: 'BUILDKITD_FLAGS', value: '--config=$(MOUNT_PATH)/buildkitd.toml' }] },
};

const dockerd: Configuration = {
  name: 'dockerd',
  data: {
    'daemon.json': `{
  "insecure-registries": [
{{- range $at, $connector := .connectors }}{{ if $at }},{{ end }}
    "{{ (urlParse $connector.status.proxyAddress).host }}"
{{- end }}
  ]
}
`,
  },
  // Not mounted at /etc/docker: dockerd 20.10 writes its key there, and does not start where it cannot.
  injection: { env: [trust] },
};

const containers: Configuration = {
  name: 'containers',
  params: [scheme],
  data: {
    'registries.conf': `unqualified-search-registries = ["docker.io"]
{{- $scheme := index .configurations "scheme" }}
{{- range .connectors }}

[[registry]]
location = "{{ (urlParse .status.proxyAddress).host }}"
insecure = {{ ne $scheme "https" }}
{{- end }}
`,
  },
  injection: { env: [{ name: 'CONTAINERS_REGISTRIES_CONF', value: '$(MOUNT_PATH)/registries.conf' }, trust] },
};

const helm: Configuration = {
  name: 'helm',
  data: { 'helm-registry.json': configJson },
  injection: { env: [{ name: 'HELM_REGISTRY_CONFIG', value: '$(MOUNT_PATH)/helm-registry.json' }, trust] },
};

/** Its files stand in every volume: what is added is trust in the certificates that the forward proxy makes. */
const forwardProxy: Configuration = { name: 'forward-proxy', injection: { env: [trust] } };

/** ConnectorClass `oci` as the product ships it; a class of the same name in a store takes its place. */
const oci: ConnectorClass = {
  apiVersion: connectorApiVersion,
  kind: 'ConnectorClass',
  metadata: { name: 'oci' },
  spec: {
    auth: {
      types: [
        { name: 'tokenAuth', secretType: secretTypes.registryToken, optional: true },
        // They spend the identity of the controller: nobody may before an administrator lists who.
        { name: 'ociRegistry', source: 'ociRegistry', allow: [] },
        { name: 'ociVault', source: 'ociVault', allow: [] },
      ],
    },
    configurations: [
      registryConfig('registry-config'),
      registryConfig('docker-config'),
      buildkitd,
      dockerd,
      containers,
      helm,
      forwardProxy,
    ],
  },
};

export const builtinClasses: readonly ConnectorClass[] = Object.freeze([oci]);
