/*
 * How the pulls of pods are identified, in the names that webhook, controller and proxy agree on.
 */

/** In each namespace that opted in: the Secret that the kubelet shows for the pulls of its pods. */
export const pullSecretName = 'oci-connector-pull';
/** Audience of the service account tokens that the proxy takes. */
export const callerAudience = 'oci-connector';
/** In characters. Tokens of service accounts have about 1 KiB; group-laden ones of other issuers some more. */
export const tokenMax = 16_384;
