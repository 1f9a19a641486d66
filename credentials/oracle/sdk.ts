/*
 * The one place where Oracle's SDK is loaded, at the first call that needs it: it costs 100 ms, which a plugin that
 * answers from its cache must not pay. It prints to the console; whoever minds redirects that before.
 */

/** All of it is in the default export: in the release bundle a CommonJS package has no other one. */
export const loadCommon = async (): Promise<typeof import('oci-common')> => (await import('oci-common')).default;

export const loadSecrets = async (): Promise<typeof import('oci-secrets')> => (await import('oci-secrets')).default;
