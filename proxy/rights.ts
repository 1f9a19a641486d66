import type { Action } from '../credentials/grant.ts';
import type { Endpoint } from './route.ts';

/** The methods of the registry API (distribution-spec 1.1, «Endpoints»). */
const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

export const isRead = (method: string): boolean => method === 'GET' || method === 'HEAD';

/**
 * The right that a request needs; undefined for a method that no registry knows. What a method does not go with is the
 * registry's to refuse; who asks for it needs the right to do what such a method does elsewhere.
 */
export function actionOf(method: string, { kind }: Endpoint): Action | undefined {
  if (!methods.has(method)) return undefined;
  // An upload is its pusher's: looking at it and giving it up belong to it.
  if (kind === 'upload' || kind === 'uploads') return 'push';
  if (isRead(method)) return 'pull';
  return method === 'DELETE' ? 'delete' : 'push';
}

/** What the registry has to be asked for, so that it lets a request of this right through, in the order of grants. */
export function registryActions(action: Action, method: string): readonly Action[] {
  if (action !== 'push') return [action];
  // Some registries, Distribution's among them, want for each DELETE the right to delete, also to give up an upload.
  return method === 'DELETE' ? ['pull', 'push', 'delete'] : ['pull', 'push'];
}
