import { Buffer } from 'node:buffer';
import type { OutgoingHttpHeaders } from 'node:http';
import { formatKey } from '../connectors/address.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { isDigest, isRepository } from '../connectors/image-reference.ts';
import { isWithinPath } from '../connectors/registry-address.ts';
import { ProxyError } from '../platform/errors.ts';
import type { SealingKeys } from '../platform/sealing-keys.ts';
import { contentLocation } from './content-location.ts';
import { downstreamHeaders } from './headers.ts';
import { mayBeApi, type RedirectFrom, redirectTarget } from './redirect.ts';
import { isEcho, passedOn, withoutEchoes } from './refusal.ts';
import type { Held } from './relay.ts';
import type { RepositoryRoute } from './route.ts';
import { sealUpload } from './upload-address.ts';

/** What was asked, and of whom. */
export interface WriteAsked extends RedirectFrom {
  readonly connector: ResolvedConnector;
  readonly route: RepositoryRoute;
  readonly sealing: SealingKeys;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

export interface WriteAnswer {
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
}

/**
 * The registry's answer to a push or a deletion as the caller gets it: in its own words, with our addresses.
 * @throws ProxyError UPSTREAM_PROTOCOL; TargetForbiddenError for an upload at a place where no upload may be
 */
export async function answerToWrite(held: Held, asked: WriteAsked): Promise<WriteAnswer> {
  if (asked.url.origin !== asked.connector.address.origin) return elsewhere(held, asked);
  const { headers, body } = held.status < 300 ? success(held, asked) : passedOn(held, asked.want, asked.grant);
  return withLocation(held, headers, body, asked);
}

/** What callers need of a host that the registry named: how far an upload got. What else there is is not theirs to read. */
const ofUploads = /^(?:range|retry-after|docker-.*|oci-.*)$/;

function elsewhere(held: Held, asked: WriteAsked): Promise<WriteAnswer> {
  const kept = Object.entries(downstreamHeaders(held.headers)).filter(([name]) => ofUploads.test(name));
  const headers: OutgoingHttpHeaders = Object.fromEntries(kept);
  withoutEchoes(headers, asked.grant);
  if (held.status < 300) return withLocation(held, headers, Buffer.alloc(0), asked);
  const message = `the host ${asked.url.host}, to which the registry sent the upload, answered ${held.status}`;
  const body = Buffer.from(new ProxyError('UPSTREAM_PROTOCOL', message).toBody(formatKey(asked.connector.key)));
  return withLocation(held, { ...headers, 'content-type': 'application/json' }, body, asked);
}

async function withLocation(
  held: Held,
  headers: OutgoingHttpHeaders,
  body: Buffer,
  asked: WriteAsked,
): Promise<WriteAnswer> {
  const location = held.headers.location === undefined ? undefined : await locationFor(held, asked);
  if (location === undefined || isEcho(location, asked.grant)) delete headers['location'];
  else headers['location'] = location;
  // RFC 9110, section 8.6: a 204 has no length, whatever the registry says.
  if (held.status === 204) delete headers['content-length'];
  else headers['content-length'] = body.length;
  return { headers, body };
}

function success(held: Held, { grant }: WriteAsked): WriteAnswer {
  if (!held.isWhole) throw new ProxyError('UPSTREAM_PROTOCOL', 'the answer to a push is too long, or broke off');
  const headers = downstreamHeaders(held.headers);
  withoutEchoes(headers, grant);
  // There is nothing in it that a client needs.
  const body = isEcho(held.body.toString('latin1'), grant) ? Buffer.alloc(0) : held.body;
  return { headers, body };
}

/** Where the caller goes on: with an upload, or to what it has pushed. */
async function locationFor({ status, headers }: Held, asked: WriteAsked): Promise<string | undefined> {
  const { route, connector, sealing, now, want, url } = asked;
  const { repository } = want;
  const location = String(headers.location);
  const isUpload = route.endpoint.kind === 'uploads' || route.endpoint.kind === 'upload';
  const digest = digestOf(route, headers['docker-content-digest']);
  if (!isUpload || status === 201 || status === 200) return contentLocation(location, url, repository, route, digest);
  const target = await redirectTarget(location, asked);
  // Some say of a finished upload that it is in progress, or nothing. What is content is never sealed as an upload.
  if (isContent.test(target.pathname)) return contentLocation(location, url, repository, route, digest);
  checkUploadAddress(target, asked);
  return `${route.base}blobs/uploads/${sealUpload({ connector, repository, url: target }, sealing, now())}`;
}

const isContent = /\/(?:manifests|blobs)\/(?!uploads(?:\/|$))[^/]+\/?$/;

/**
 * With an upload's address comes our grant, where it is at the registry, whatever the caller then sends there. So it has
 * to be that of an upload: in the registry API there is one place for those; elsewhere the registry's own word is taken,
 * and another host's is not.
 */
function checkUploadAddress(target: URL, { connector, want, url }: WriteAsked): void {
  const { origin, pathPrefix } = connector.address;
  if (target.origin !== origin) return;
  const [, repository] = /^\/v2\/(.+)\/blobs\/uploads(?:\/|$)/.exec(target.pathname) ?? [];
  const isOfApi = repository !== undefined && isRepository(repository) && isWithinPath(repository, pathPrefix);
  if (isOfApi && (url.origin === origin || repository === want.repository)) return;
  if (!mayBeApi(target.pathname) && url.origin === origin) return;
  const where = url.origin === origin ? 'the registry' : `the host ${url.host}`;
  throw new ProxyError('UPSTREAM_PROTOCOL', `${where} sends an upload to where no upload is`);
}

function digestOf({ endpoint, query }: RepositoryRoute, answered: string | readonly string[] | undefined) {
  const parameters = new URLSearchParams(query);
  const named = endpoint.kind === 'manifests' ? endpoint.reference : undefined;
  const known = [answered, parameters.get('digest'), parameters.get('mount'), named];
  return known.find((digest): digest is string => typeof digest === 'string' && isDigest(digest));
}
