import { connectorApiVersion } from './schema.ts';

const name = 'oci-connector-secret-namespace';
const [group = '', version = ''] = connectorApiVersion.split('/');

/** The spec is looked at only where it changes: finalizers and labels of an older Connector must stay editable. */
const isSpecChanged = "request.operation == 'CREATE' || object.spec != oldObject.spec";
const isOwnNamespace =
  '!has(object.spec.auth) || !has(object.spec.auth.secretRef) || !has(object.spec.auth.secretRef.namespace)' +
  ' || object.spec.auth.secretRef.namespace == request.namespace';

/**
 * Refuses a Connector whose `secretRef.namespace` is not its own namespace: the rules of a CRD do not see
 * `metadata.namespace`. Without the policy such a Connector gets a condition, SecretNamespaceForbidden.
 */
export const secretNamespacePolicy = [
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name },
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        matchPolicy: 'Equivalent',
        resourceRules: [
          { apiGroups: [group], apiVersions: [version], operations: ['CREATE', 'UPDATE'], resources: ['connectors'] },
        ],
      },
      matchConditions: [{ name: 'spec-changed', expression: isSpecChanged }],
      validations: [
        {
          expression: isOwnNamespace,
          messageExpression:
            "'spec.auth.secretRef.namespace is \"' + object.spec.auth.secretRef.namespace + '\", but a Secret must be in" +
            " the connector\\'s own namespace \"' + request.namespace + '\": leave the field out'",
          reason: 'Invalid',
        },
      ],
    },
  },
  {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name },
    spec: { policyName: name, validationActions: ['Deny'] },
  },
] as const;
