/** Label of pods and namespaces: `"true"` opts in, `"false"` on a pod opts out. */
export const injectLabel = 'connectors.cpaas.io/proxy-inject';
