import type { z } from 'zod';
import { type StructuralSchema, toStructuralSchema, type ValidationRule } from './crd-schema.ts';
import { connectorApiVersion, connectorClassSchema, connectorSchema } from './schema.ts';
import { connectorStatusSchema } from './status.ts';

/** A CustomResourceDefinition, as a manifest. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const [group = '', version = ''] = connectorApiVersion.split('/');

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly scope: 'Namespaced' | 'Cluster';
  readonly description: string;
  readonly spec: z.ZodType;
  readonly status?: z.ZodType;
  readonly rules?: readonly ValidationRule[];
  /** Rules on a field, by its path below spec. */
  readonly specRules?: Readonly<Record<string, readonly ValidationRule[]>>;
  readonly columns: readonly Column[];
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly description?: string;
}

const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };
const ready = '.status.conditions[?(@.type=="Ready")]';

/** CEL sees of metadata only the name: that a Secret is in the connector's namespace is the policy's to say. */
const nameRule: ValidationRule = {
  rule: "self.metadata.name.size() <= 61 && self.metadata.name.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
  message:
    'metadata.name must be a DNS label (lower case letters, digits, "-") of at most 61 characters: the connector’s Service is called c-<name>',
};
const addressRule: ValidationRule = {
  rule: "!self.matches('^([A-Za-z][A-Za-z0-9+.-]*://)?[^/]*@')",
  message: 'an address holds no credential: put it into a Secret and name that in spec.auth.secretRef',
};

const inlineRule: ValidationRule = {
  rule: 'self.all(entry, !has(entry.password) && !has(entry.username))',
  message:
    'a password here is read by everybody who reads Connectors: put it into a Secret, write secretType SECRET and name the Secret in secretRef',
};

const definitions: readonly Definition[] = [
  {
    kind: 'Connector',
    plural: 'connectors',
    scope: 'Namespaced',
    description: 'A registry that pods of the namespace use through the proxy, without holding its credential.',
    spec: connectorSchema.shape.spec,
    status: connectorStatusSchema,
    rules: [nameRule],
    specRules: { address: [addressRule], imagePullSecrets: [inlineRule] },
    columns: [
      { name: 'Class', type: 'string', jsonPath: '.spec.connectorClassName' },
      { name: 'Address', type: 'string', jsonPath: '.spec.address' },
      { name: 'Ready', type: 'string', jsonPath: `${ready}.status` },
      { name: 'Reason', type: 'string', jsonPath: `${ready}.reason` },
      age,
    ],
  },
  {
    kind: 'ConnectorClass',
    plural: 'connectorclasses',
    scope: 'Cluster',
    description: 'What connectors of one kind have in common: how they authenticate, and configurations for clients.',
    spec: connectorClassSchema.shape.spec,
    columns: [age],
  },
];

/** The CRDs of our group, generated from the schemas that validate files. */
export const customResourceDefinitions: readonly CustomResourceDefinition[] = definitions.map((definition) => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${definition.plural}.${group}` },
  spec: {
    group,
    scope: definition.scope,
    names: {
      kind: definition.kind,
      listKind: `${definition.kind}List`,
      plural: definition.plural,
      singular: definition.kind.toLowerCase(),
    },
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        schema: { openAPIV3Schema: rootSchema(definition) },
        subresources: { status: {} },
        additionalPrinterColumns: definition.columns,
      },
    ],
  },
}));

function rootSchema(definition: Definition): StructuralSchema {
  return {
    description: definition.description,
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string' },
      kind: { type: 'string' },
      metadata: { type: 'object' },
      spec: withRules(toStructuralSchema(definition.spec), definition.specRules ?? {}),
      status:
        definition.status === undefined
          ? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
          : { description: 'What the controller found.', ...toStructuralSchema(definition.status) },
    },
    ...(definition.rules === undefined ? {} : { 'x-kubernetes-validations': definition.rules }),
  };
}

function withRules(spec: StructuralSchema, rules: NonNullable<Definition['specRules']>): StructuralSchema {
  const properties = { ...spec.properties };
  for (const [name, of] of Object.entries(rules)) {
    properties[name] = { ...properties[name], 'x-kubernetes-validations': of };
  }
  return { ...spec, properties };
}
