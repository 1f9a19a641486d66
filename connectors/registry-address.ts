import { canonicalRegistry, isDockerHub, isRepository } from './image-reference.ts';

/** Docker Hub's API host; `docker.io` itself serves a website. */
export const dockerHubApi = 'registry-1.docker.io';

/** Where a connector's registry is, read from `spec.address`. */
export interface RegistryAddress {
  /** `scheme://host[:port]` that API requests go to. */
  readonly origin: string;
  /** Canonical registry spellings (see canonicalRegistry) that image references may use for it. */
  readonly registries: readonly string[];
  /** Repositories are this path or below it; empty for the whole registry. */
  readonly pathPrefix: string;
}

export type ParsedAddress = { ok: true; address: RegistryAddress } | { ok: false; reason: string };

const refuse = (reason: string): ParsedAddress => ({ ok: false, reason });
const defaultPorts: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * Reads `spec.address`: `https://host[:port][/path]`, `http://…` for a registry without TLS, or `host[:port][/path]`,
 * which means https. A path limits the connector to the repositories below it.
 */
export function parseRegistryAddress(text: string): ParsedAddress {
  const url = toUrl(text.trim());
  // What cannot be read is not quoted: it may hold a password before an `@`.
  if (url === undefined) return refuse('not an address: write https://registry.example.com[:port][/path]');
  if (!Object.hasOwn(defaultPorts, url.protocol)) return refuse(`scheme "${url.protocol}" is not http: or https:`);
  if (url.username !== '' || url.password !== '') return refuse('an address holds no credential: put it into a Secret');
  if (url.search !== '' || url.hash !== '') return refuse('an address has no query and no fragment');
  const registries = spellings(url);
  if (registries === undefined) return refuse(`"${url.host}" is not a registry host`);
  const pathPrefix = pathPrefixOf(url.pathname);
  if (pathPrefix !== '' && !isRepository(pathPrefix)) {
    return refuse(`path "${pathPrefix}" is not the beginning of a repository name`);
  }
  const host = isDockerHub(registries[0] ?? '') ? dockerHubApi : url.host;
  return { ok: true, address: { origin: `${url.protocol}//${host}`, registries, pathPrefix } };
}

function toUrl(text: string): URL | undefined {
  // The URL parser drops line breaks and takes a backslash for a slash: another host than the one that is read.
  if (/[\s\\]/.test(text)) return undefined;
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `https://${text}`;
  return URL.canParse(withScheme) ? new URL(withScheme) : undefined;
}

/** The registry's name with and without the default port of its scheme: both are written in images. */
function spellings(url: URL): readonly string[] | undefined {
  const canonical = canonicalRegistry(url.host);
  if (canonical === undefined) return undefined;
  if (isDockerHub(canonical) || url.port !== '') return [canonical];
  return [canonical, `${canonical}:${defaultPorts[url.protocol]}`];
}

/** `/v1/` and `/v2/` are API roots that docker's own configuration writes behind addresses; they are no repository. */
function pathPrefixOf(pathname: string): string {
  const path = pathname.replace(/^\/+|\/+$/g, '');
  return path === 'v1' || path === 'v2' ? '' : path;
}

/** Whether `repository` lies at or below `pathPrefix`, at a component boundary. */
export function isWithinPath(repository: string, pathPrefix: string): boolean {
  return pathPrefix === '' || repository === pathPrefix || repository.startsWith(`${pathPrefix}/`);
}
