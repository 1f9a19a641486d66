/**
 * The documents an administrator writes, each shape once: TypeScript types and the validation of files come from here,
 * and so will the CRDs. Group and fields follow the public documentation of `connectors.alauda.io/v1alpha1`.
 */
import { z } from 'zod';
import { isConnectorName, isNamespaceName } from './address.ts';

export const connectorApiVersion = 'connectors.alauda.io/v1alpha1';

/** Types of Secret that a credential is read from. */
export const secretTypes = {
  registryToken: 'cpaas.io/distribution-registry-token',
  basicAuth: 'kubernetes.io/basic-auth',
  dockerConfigJson: 'kubernetes.io/dockerconfigjson',
} as const;

const strings = z.record(z.string(), z.string());

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

const nameValue = z.strictObject({
  name: z.string().min(1).describe('Name of the parameter.'),
  value: z.string().describe('Value of the parameter.'),
});

const connectorSpec = z.strictObject({
  connectorClassName: z.string().min(1).describe('Name of the ConnectorClass; "oci" for OCI registries.'),
  address: z.string().min(1).describe('Address of the registry: https://host[:port][/path], or http://… without TLS.'),
  addressExtensions: z.array(nameValue).optional().describe('Further addresses, by name.'),
  auth: z
    .strictObject({
      name: z.string().min(1).describe('One of the authentication types of the class; "tokenAuth" for class "oci".'),
      params: z.array(nameValue).optional().describe('repository: a repository that proves the credential works.'),
      secretRef: z
        .strictObject({
          name: z.string().min(1).describe('Name of the Secret.'),
          namespace: namespaceName.optional().describe("The connector's own namespace."),
        })
        .optional()
        .describe('Secret with the credential; absent for a registry that is open.'),
    })
    .optional()
    .describe('How the registry is authenticated to; absent for a registry that is open.'),
  caCertSecretRef: z
    .strictObject({ name: z.string().min(1).describe('Name of the Secret.') })
    .optional()
    .describe('Secret in the same namespace whose key ca.crt holds the PEM certificates that sign the registry’s.'),
  params: z
    .array(nameValue)
    .optional()
    .describe('Settings: redirect (handover, follow), trustedHosts (comma separated).'),
});

export const connectorSchema = z.strictObject({
  apiVersion: z.literal(connectorApiVersion),
  kind: z.literal('Connector'),
  metadata: objectMeta.extend({ name: connectorName, namespace: namespaceName.optional() }),
  spec: connectorSpec,
  status: z.unknown().optional(),
});

const configuration = z.strictObject({
  name: z.string().min(1),
  data: strings.optional().describe('Template of each file, by file name.'),
  params: z.array(z.unknown()).optional(),
});

export const connectorClassSchema = z.strictObject({
  apiVersion: z.literal(connectorApiVersion),
  kind: z.literal('ConnectorClass'),
  metadata: objectMeta,
  spec: z.strictObject({
    address: z.unknown().optional(),
    auth: z
      .strictObject({
        types: z
          .array(
            z.strictObject({
              name: z.string().min(1),
              secretType: z.string().min(1).optional(),
              optional: z.boolean().optional(),
              params: z.array(z.unknown()).optional(),
            }),
          )
          .optional(),
      })
      .optional(),
    configurations: z.array(configuration).optional(),
    livenessProbe: z.unknown().optional(),
    authProbes: z.unknown().optional(),
    proxy: z.unknown().optional(),
  }),
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

export type Connector = z.infer<typeof connectorSchema>;
export type ConnectorClass = z.infer<typeof connectorClassSchema>;
export type Secret = z.infer<typeof secretSchema>;
export type Namespace = z.infer<typeof namespaceSchema>;
export type Document = Connector | ConnectorClass | Secret | Namespace;
