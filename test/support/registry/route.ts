import type { Access } from './request-log.ts';

/** A path of the registry API, parsed (distribution-spec, «Endpoints»). */
export type Route =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'tags' | 'uploads'; readonly repository: string }
  | { readonly kind: 'manifests' | 'blobs' | 'referrers'; readonly repository: string; readonly reference: string }
  | { readonly kind: 'upload'; readonly repository: string; readonly id: string };

const name = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;

/** The route of a path, or undefined when it is none or its repository name is not valid. */
export function parseRoute(path: string): Route | undefined {
  if (path === '/v2' || path === '/v2/') return { kind: 'ping' };
  if (path === '/v2/_catalog') return { kind: 'catalog' };
  const route = parseRepositoryRoute(path);
  return route !== undefined && name.test(route.repository) ? route : undefined;
}

function parseRepositoryRoute(path: string): Exclude<Route, { kind: 'ping' | 'catalog' }> | undefined {
  const [, listed] = /^\/v2\/(.+)\/tags\/list$/.exec(path) ?? [];
  if (listed !== undefined) return { kind: 'tags', repository: listed };
  const [, uploading, id] = /^\/v2\/(.+)\/blobs\/uploads\/([^/]*)$/.exec(path) ?? [];
  if (uploading !== undefined && id !== undefined) {
    return id === '' ? { kind: 'uploads', repository: uploading } : { kind: 'upload', repository: uploading, id };
  }
  const [, repository, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs|referrers)\/([^/]+)$/.exec(path) ?? [];
  if (repository === undefined || reference === undefined) return undefined;
  return { kind: kind as 'manifests' | 'blobs' | 'referrers', repository, reference };
}

/** The access that a request needs, in the terms of the token specification. */
export function neededAccess(method: string, route: Route, query: URLSearchParams): Access[] {
  if (route.kind === 'ping') return [];
  if (route.kind === 'catalog') return [{ type: 'registry', name: 'catalog', actions: ['*'] }];
  const needed: Access[] = [{ type: 'repository', name: route.repository, actions: neededActions(method) }];
  const from = query.get('from');
  if (route.kind === 'uploads' && query.has('mount') && from !== null) {
    needed.push({ type: 'repository', name: from, actions: ['pull'] });
  }
  return needed;
}

function neededActions(method: string): string[] {
  if (method === 'DELETE') return ['delete'];
  return method === 'GET' || method === 'HEAD' ? ['pull'] : ['pull', 'push'];
}
