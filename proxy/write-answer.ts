import { Buffer } from 'node:buffer';
import type { OutgoingHttpHeaders } from 'node:http';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { isDigest } from '../connectors/image-reference.ts';
import { ProxyError } from '../platform/errors.ts';
import type { SealingKeys } from '../platform/sealing-keys.ts';
import { contentLocation } from './content-location.ts';
import { downstreamHeaders } from './headers.ts';
import { type RedirectFrom, redirectTarget } from './redirect.ts';
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

/**
 * The registry's answer to a push or a deletion as the caller gets it: in its own words, with our addresses.
 * @throws ProxyError UPSTREAM_PROTOCOL; TargetForbiddenError for an upload at a place where no upload may be
 */
export async function answerToWrite(
  held: Held,
  asked: WriteAsked,
): Promise<{ headers: OutgoingHttpHeaders; body: Buffer }> {
  const { headers, body } = held.status < 300 ? success(held, asked) : passedOn(held, asked.want, asked.grant);
  const location = held.headers.location === undefined ? undefined : await locationFor(held, asked);
  if (location === undefined || isEcho(location, asked.want, asked.grant)) delete headers['location'];
  else headers['location'] = location;
  if (held.status !== 204) headers['content-length'] = body.length;
  return { headers, body };
}

function success(held: Held, { want, grant }: WriteAsked): { headers: OutgoingHttpHeaders; body: Buffer } {
  if (!held.isWhole) throw new ProxyError('UPSTREAM_PROTOCOL', 'the answer to a push is too long, or broke off');
  const headers = downstreamHeaders(held.headers);
  withoutEchoes(headers, want, grant);
  // There is nothing in it that a client needs.
  const body = isEcho(held.body.toString('latin1'), want, grant) ? Buffer.alloc(0) : held.body;
  return { headers, body };
}

/** Where the caller goes on: with an upload, or to what it has pushed. */
async function locationFor({ status, headers }: Held, asked: WriteAsked): Promise<string | undefined> {
  const { route, connector, sealing, now, want, url } = asked;
  const { repository } = want;
  const location = String(headers.location);
  const isUpload = route.endpoint.kind === 'uploads' || route.endpoint.kind === 'upload';
  if (!isUpload || status === 201 || status === 200) {
    return contentLocation(location, url, repository, route, digestOf(route, headers['docker-content-digest']));
  }
  const target = await redirectTarget(location, asked);
  return `${route.base}blobs/uploads/${sealUpload({ connector, repository, url: target }, sealing, now())}`;
}

function digestOf({ endpoint, query }: RepositoryRoute, answered: string | readonly string[] | undefined) {
  const parameters = new URLSearchParams(query);
  const named = endpoint.kind === 'manifests' ? endpoint.reference : undefined;
  const known = [answered, parameters.get('digest'), parameters.get('mount'), named];
  return known.find((digest): digest is string => typeof digest === 'string' && isDigest(digest));
}
