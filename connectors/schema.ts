/**
 * The documents an administrator writes, each shape once: TypeScript types, the validation of files and the CRDs (see
 * crd.ts) come from here. Group and fields follow the public documentation of `connectors.alauda.io/v1alpha1`.
 */
import { z } from 'zod';
import { isConnectorName, isNamespaceName } from './address.ts';
import { imagePullSecretSchema } from './image-pull-secrets.ts';

export const connectorGroup = 'connectors.alauda.io';
export const connectorApiVersion = `${connectorGroup}/v1alpha1`;

/** Types of Secret that a credential is read from. */
export const secretTypes = {
  registryToken: 'cpaas.io/distribution-registry-token',
  basicAuth: 'kubernetes.io/basic-auth',
  dockerConfigJson: 'kubernetes.io/dockerconfigjson',
} as const;

const strings = z.record(z.string(), z.string());

/** Limits of the Kubernetes API, and bounds that keep what a CRD checks cheap enough for the API server. */
const objectNameMax = 253;
const namespaceLengthMax = 63;
const addressLengthMax = 2048;
const valueLengthMax = 8192;
const itemsMax = 64;
/** Each may be tried for a pull, with several requests. */
const entriesMax = 16;
/** Of names within a rule. */
const listMax = 256;

/** ObjectMeta of the Kubernetes API. Only the names, labels and annotations are ours to use; the rest comes with exported manifests. */
const objectMeta = z.strictObject({
  name: z.string().min(1),
  namespace: z.string().min(1).optional(),
  uid: z.string().optional(),
  labels: strings.optional(),
  annotations: strings.optional(),
  resourceVersion: z.string().optional(),
  generation: z.number().optional(),
  generateName: z.string().optional(),
  creationTimestamp: z.unknown().optional(),
  deletionTimestamp: z.unknown().optional(),
  deletionGracePeriodSeconds: z.number().optional(),
  finalizers: z.array(z.string()).optional(),
  ownerReferences: z.array(z.unknown()).optional(),
  managedFields: z.array(z.unknown()).optional(),
  selfLink: z.string().optional(),
});

const connectorName = z
  .string()
  .refine(isConnectorName, 'must be a DNS label (lower case letters, digits, "-") of at most 61 characters');
const namespaceName = z.string().refine(isNamespaceName, 'must be a DNS label (lower case letters, digits, "-")');

const objectName = z.string().min(1).max(objectNameMax);
/** Names within a list: of parameters, authentication types, configurations. */
const itemName = z.string().min(1).max(objectNameMax);

/** A list whose items have a name of their own each; appliers merge it by name. */
const namedList = <Item extends z.ZodType<{ name: string }>>(item: Item) =>
  z
    .array(item)
    .max(itemsMax)
    .refine((items) => new Set(items.map(({ name }) => name)).size === items.length, 'names must differ')
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] });

const nameValue = (what: string) =>
  z.strictObject({
    name: itemName.describe(`Name of the ${what}.`),
    value: z.string().max(valueLengthMax).describe(`Value of the ${what}.`),
  });

const connectorSpec = z.strictObject({
  connectorClassName: objectName.describe('Name of the ConnectorClass; "oci" for OCI registries.'),
  address: z
    .string()
    .min(1)
    .max(addressLengthMax)
    .describe('Address of the registry: https://host[:port][/path], or http://… without TLS.'),
  addressExtensions: namedList(nameValue('address')).optional().describe('Further addresses, by name. Not acted on.'),
  auth: z
    .strictObject({
      name: itemName.describe('One of the authentication types of the class; "tokenAuth" for class "oci".'),
      params: namedList(nameValue('parameter'))
        .optional()
        .describe(
          'repository: a repository that is asked for to prove that the credential works. secretId: OCID of a Vault secret.',
        ),
      secretRef: z
        .strictObject({
          name: objectName.describe('Name of the Secret.'),
          namespace: namespaceName
            .max(namespaceLengthMax)
            .optional()
            .describe("The connector's own namespace, or absent."),
        })
        .optional()
        .describe('Secret with the credential, in the namespace of the connector; absent for a registry that is open.'),
    })
    .optional()
    .describe('How the registry is authenticated to; absent for a registry that is open.'),
  imagePullSecrets: z
    .array(imagePullSecretSchema)
    .max(entriesMax)
    .optional()
    .describe('Credentials that are tried in sequence, for the repositories that they match; after the one of auth.'),
  caCertSecretRef: z
    .strictObject({ name: objectName.describe('Name of the Secret.') })
    .optional()
    .describe('Secret in the same namespace whose key ca.crt holds the PEM certificates that sign the registry’s.'),
  params: namedList(nameValue('parameter'))
    .optional()
    .describe(
      'Settings: redirect (handover, follow), trustedHosts (comma separated), whenUnavailable (rewrite, keep), maxConcurrentRequests.',
    ),
});

export const connectorSchema = z.strictObject({
  apiVersion: z.literal(connectorApiVersion),
  kind: z.literal('Connector'),
  metadata: objectMeta.extend({ name: connectorName, namespace: namespaceName.optional() }),
  spec: connectorSpec.describe('A registry, and where its credential is.'),
  status: z.unknown().optional(),
});

const allowRule = z.strictObject({
  namespaces: z
    .array(z.string().min(1).max(namespaceLengthMax))
    .min(1)
    .max(listMax)
    .describe('Namespaces whose connectors may use it; "*" for all.'),
  addresses: z
    .array(z.string().min(1).max(addressLengthMax))
    .max(listMax)
    .optional()
    .describe('host[:port][/path]: the address of the connector has to be one of them, or below it; any if absent.'),
  secretIds: z
    .array(z.string().min(1).max(objectNameMax))
    .max(listMax)
    .optional()
    .describe('ociVault: OCIDs of the secrets that they may use.'),
});

const authType = z.strictObject({
  name: itemName.describe('Name of the authentication type, which a connector gives in spec.auth.name.'),
  source: z
    .enum(['secret', 'ociRegistry', 'ociVault'])
    .optional()
    .describe(
      'Where the credential comes from: a Secret (default), a token of Oracle’s registry, or a secret of OCI Vault, both by the identity of the controller.',
    ),
  allow: z
    .array(allowRule)
    .max(itemsMax)
    .optional()
    .describe('Who may spend the identity of the controller; nobody if absent.'),
  secretType: z.string().min(1).max(objectNameMax).optional().describe('Type of the Secret.'),
  optional: z.boolean().optional().describe('Whether a connector may leave the Secret out: the registry is open.'),
  params: z.array(z.unknown()).optional().describe('Declarations of parameters. Not acted on.'),
});

const injection = z.strictObject({
  mountPath: z
    .string()
    .regex(/^\/[^\0:]*$/, 'must be an absolute path without ":"')
    .max(objectNameMax)
    .optional()
    .describe('Folder of a container where the files are mounted beside /etc/connectors/<connector>.'),
  env: namedList(nameValue('variable'))
    .optional()
    .describe('Variables for containers that do not set them; $(MOUNT_PATH) in a value is the folder of the files.'),
});

const configuration = z.strictObject({
  name: itemName.describe('Name of the configuration.'),
  data: strings.optional().describe('Template of each file, by file name.'),
  params: z.array(z.unknown()).optional().describe('Declarations of parameters.'),
  injection: injection.optional().describe('What the webhook adds to the containers of pods that ask for it.'),
});

const connectorClassSpec = z.strictObject({
  address: z.unknown().optional().describe('Constraints of spec.address. Not acted on.'),
  addressExtensions: z.unknown().optional().describe('Declarations of further addresses. Not acted on.'),
  params: z.unknown().optional().describe('Declarations of parameters. Not acted on.'),
  auth: z
    .strictObject({ types: namedList(authType).optional().describe('The authentication types to choose from.') })
    .optional()
    .describe('How connectors of the class authenticate.'),
  configurations: namedList(configuration).optional().describe('Configurations of clients, as templates of files.'),
  livenessProbe: z.unknown().optional().describe('Not acted on: /v2/ of the registry is asked.'),
  authProbes: z.unknown().optional().describe('Not acted on: a token is exchanged at the registry.'),
  proxy: z.unknown().optional().describe('Not acted on: the proxy is part of the product.'),
  api: z.unknown().optional().describe('Not acted on: connectors have no API beyond the registry’s.'),
});

export const connectorClassSchema = z.strictObject({
  apiVersion: z.literal(connectorApiVersion),
  kind: z.literal('ConnectorClass'),
  metadata: objectMeta,
  spec: connectorClassSpec.describe('What connectors of the class have in common.'),
  status: z.unknown().optional(),
});

const base64 = z.string().refine((text) => /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(text), 'must be base64');

export const secretSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  metadata: objectMeta.extend({ namespace: namespaceName.optional() }),
  type: z.string().optional(),
  data: z.record(z.string(), base64).nullish(),
  stringData: strings.nullish(),
  immutable: z.boolean().optional(),
});

export const namespaceSchema = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Namespace'),
  metadata: objectMeta.extend({ name: namespaceName }),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
});

/** Every kind of document, by `apiVersion/kind`. */
export const documentSchemas = {
  [`${connectorApiVersion}/Connector`]: connectorSchema,
  [`${connectorApiVersion}/ConnectorClass`]: connectorClassSchema,
  'v1/Secret': secretSchema,
  'v1/Namespace': namespaceSchema,
} as const;

export type Configuration = z.infer<typeof configuration>;
export type AuthType = z.infer<typeof authType>;
export type Connector = z.infer<typeof connectorSchema>;
export type ConnectorClass = z.infer<typeof connectorClassSchema>;
export type Secret = z.infer<typeof secretSchema>;
export type Namespace = z.infer<typeof namespaceSchema>;
export type Document = Connector | ConnectorClass | Secret | Namespace;

/** Secrets of its own namespace that a Connector names, each once. */
export function secretNamesOf({ spec }: Connector): readonly string[] {
  const entries = spec.imagePullSecrets?.map(({ secretRef }) => secretRef?.name) ?? [];
  const names = [spec.auth?.secretRef?.name, spec.caCertSecretRef?.name, ...entries];
  return [...new Set(names.filter((name) => name !== undefined))];
}

/** On a ConnectorClass, `path` or `host`: which form of the proxy's address its connectors show. */
const resolverAnnotation = 'connectors.cpaas.io/proxy-resolver';

export const proxyFormOf = (connectorClass: ConnectorClass | undefined): 'host' | 'path' =>
  connectorClass?.metadata.annotations?.[resolverAnnotation] === 'path' ? 'path' : 'host';
