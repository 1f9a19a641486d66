/**
 * Image references as the container runtimes read them: the grammar of github.com/distribution/reference
 * (regexp.go, normalize.go), which containerd, the kubelet, skopeo and crane share.
 */

/** Docker Hub's names. All of them are one registry, whose API answers at `registry-1.docker.io`. */
const dockerHub = 'docker.io';
const dockerHubAliases: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io']);
const officialPrefix = 'library/';

/** Longest name, registry and repository together, that runtimes and registries accept (distribution-spec, «Pulling manifests»). */
export const imageNameLengthMax = 255;
/** Nothing longer is a reference: 255 for the name, 128 for the tag, a digest, and room to spare. */
const textLengthMax = 1024;

const domainComponent = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?';
const domainPattern = `(?:${domainComponent}(?:\\.${domainComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const pathComponent = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const pathPattern = `${pathComponent}(?:/${pathComponent})*`;
const tagPattern = '[\\w][\\w.-]{0,127}';
const digestPattern = '[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}';

const domainOnly = new RegExp(`^${domainPattern}$`);
const remoteOnly = new RegExp(`^(${pathPattern})(?::(${tagPattern}))?(?:@(${digestPattern}))?$`);
const repositoryOnly = new RegExp(`^${pathPattern}$`);
const tagOnly = new RegExp(`^${tagPattern}$`);
const bareIdentifier = /^[a-f0-9]{64}$/;

const hexLengths: Readonly<Record<string, number>> = { sha256: 64, sha384: 96, sha512: 128 };

export interface ImageReference {
  /** The registry as written; undefined for a Docker Hub short name. */
  readonly domain: string | undefined;
  /** The registry in canonical spelling, see {@link canonicalRegistry}. */
  readonly registry: string;
  /** What stands before the written path and is not written: `library/` for Docker Hub's official images, else empty. */
  readonly impliedPath: '' | typeof officialPrefix;
  /** Path, without `impliedPath`, as written. */
  readonly path: string;
  /** `:tag@digest`, byte for byte as written; empty when there is neither. */
  readonly suffix: string;
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

export type ParsedReference = { ok: true; reference: ImageReference } | { ok: false; reason: string };

const refuse = (reason: string): ParsedReference => ({ ok: false, reason });

/**
 * The one spelling of a registry that matching compares: lower case, no leading zeros in the port, IPv6 compressed,
 * Docker Hub's aliases folded to `docker.io`. Undefined when `domain` is not a host with an optional port.
 */
export function canonicalRegistry(domain: string): string | undefined {
  if (!domainOnly.test(domain)) return undefined;
  const portAt = domain.lastIndexOf(':');
  const hasPort = portAt > domain.lastIndexOf(']');
  const host = (hasPort ? domain.slice(0, portAt) : domain).toLowerCase();
  const port = hasPort ? Number(domain.slice(portAt + 1)) : undefined;
  const spelled = host.startsWith('[') ? compressIpv6(host) : host;
  if (spelled === undefined || (port !== undefined && port > 65535)) return undefined;
  if (dockerHubAliases.has(spelled) && (port === undefined || port === 443)) return dockerHub;
  return port === undefined ? spelled : `${spelled}:${port}`;
}

function compressIpv6(bracketed: string): string | undefined {
  return URL.canParse(`http://${bracketed}`) ? new URL(`http://${bracketed}`).hostname : undefined;
}

export const isDockerHub = (registry: string): boolean => registry === dockerHub;

/** Whether `digest` is written as `algorithm:hex` of an algorithm that image tools know, with that algorithm's length. */
export function isDigest(digest: string): boolean {
  const colon = digest.indexOf(':');
  const length = hexLengths[digest.slice(0, colon)];
  return length !== undefined && digest.length === colon + 1 + length && /^[a-f0-9]+$/.test(digest.slice(colon + 1));
}

export const isTag = (text: string): boolean => tagOnly.test(text);
export const isRepository = (text: string): boolean => text.length <= imageNameLengthMax && repositoryOnly.test(text);

/** Repository as the registry's API names it: `library/` put before a single component of Docker Hub, else as it is. */
export function apiRepository(registry: string, path: string): string {
  return impliedPathOf(registry, path) + path;
}

function impliedPathOf(registry: string, path: string): '' | typeof officialPrefix {
  return isDockerHub(registry) && !path.includes('/') ? officialPrefix : '';
}

/** Splits off the registry by Docker's rule: the first component is one if it has a dot, a colon or an upper-case letter, or is `localhost`. */
function splitDomain(text: string): [domain: string | undefined, remote: string] {
  const slash = text.indexOf('/');
  if (slash === -1) return [undefined, text];
  const first = text.slice(0, slash);
  const isDomain = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase();
  return isDomain ? [first, text.slice(slash + 1)] : [undefined, text];
}

/** Reads an image reference as it stands in a pod. A reason, never an exception, for what is none. */
export function parseImageReference(text: string): ParsedReference {
  if (text === '') return refuse('the image is empty');
  if (text.length > textLengthMax) return refuse(`longer than ${textLengthMax} characters`);
  if (bareIdentifier.test(text)) return refuse('64 hexadecimal digits are an image ID, not a name');
  const [domain, remote] = splitDomain(text);
  const registry = domain === undefined ? dockerHub : canonicalRegistry(domain);
  if (registry === undefined) return refuse(`"${domain}" is not a registry host`);
  const match = remoteOnly.exec(remote);
  if (match === null) return refuse(explainRemote(remote));
  const [, path = '', tag, digest] = match;
  if (digest !== undefined && !isDigest(digest)) return refuse(`unsupported or malformed digest "${digest}"`);
  const impliedPath = impliedPathOf(registry, path);
  const nameLength = path.length + impliedPath.length;
  if (nameLength > imageNameLengthMax) return refuse(`the repository is longer than ${imageNameLengthMax} characters`);
  return {
    ok: true,
    reference: { domain, registry, impliedPath, path, suffix: remote.slice(path.length), tag, digest },
  };
}

function explainRemote(remote: string): string {
  const name = remote.split(/[:@]/, 1)[0] ?? '';
  if (name !== name.toLowerCase()) return `the repository "${name}" must be lower case`;
  return 'not a valid image reference';
}

/** The reference as it was written: `formatImageReference(parse(text)) === text`. */
export function formatImageReference(reference: ImageReference): string {
  const domain = reference.domain === undefined ? '' : `${reference.domain}/`;
  return `${domain}${reference.path}${reference.suffix}`;
}

/** The repository as the registry's API names it, with `library/` where Docker Hub implies it. */
export const repositoryOf = (reference: ImageReference): string => reference.impliedPath + reference.path;
