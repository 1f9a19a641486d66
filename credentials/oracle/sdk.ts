/**
 * The one place where Oracle's SDK is loaded, at the first call that needs it: it costs 100 ms, which a plugin that
 * answers from its cache must not pay. It prints to the console; whoever minds redirects that before.
 */
export const loadCommon = (): Promise<typeof import('oci-common')> => import('oci-common');

export const loadSecrets = (): Promise<typeof import('oci-secrets')> => import('oci-secrets');
