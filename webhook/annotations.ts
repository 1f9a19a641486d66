/** Annotations that the webhook reads and writes, each name once. */

/** Annotation of pods and namespaces: `<namespace>/<name>` of the only connector to use; a name alone is one of the pod's namespace. */
export const connectorAnnotation = 'connectors.cpaas.io/connector';
/** Annotation of pods and namespaces: comma-separated client configurations to mount. */
export const configurationsAnnotation = 'connectors.cpaas.io/configurations';
/** Annotation of pods and namespaces: JSON `{configuration: {param: text}}` for their templates. */
export const configurationParamsAnnotation = 'connectors.cpaas.io/configuration-params';
/** Annotation that the webhook leaves on a pod, see decision-annotation.ts. */
export const decisionAnnotation = 'connectors.cpaas.io/decision';
/** The kubelet's mark on the copy of a static pod (k8s.io/api/core/v1, MirrorPodAnnotationKey). */
export const mirrorAnnotation = 'kubernetes.io/config.mirror';
