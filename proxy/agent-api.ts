import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { z } from 'zod';
import {
  configurationQuestion,
  configurationRevisionsPath,
  configurationsPath,
  revisionsQuestion,
} from '../connectors/configurations/protocol.ts';
import { type Grant, type GrantWant, isSameGrant } from '../credentials/grant.ts';
import { credentialsBehind, originOf } from '../credentials/grant-origin.ts';
import { isNarrow } from '../credentials/narrow.ts';
import { formatRefusal } from '../platform/centre/refusal.ts';
import { ProxyError } from '../platform/errors.ts';
import { parseJson } from '../platform/json.ts';
import type { Access, Call } from './access.ts';
import { type ConfigurationSources, renderVolume, volumeRevisions } from './agent-configurations.ts';
import {
  agentAudience,
  callerQuestion,
  callersPath,
  callerTokenHeader,
  formatGrantAnswer,
  type GrantQuestion,
  grantQuestion,
  grantsPath,
  relayPath,
  selfPath,
} from './agent-protocol.ts';
import { type CallOrigin, tokenOf } from './caller.ts';
import type { TokenReviews } from './token-reviews.ts';
import { upstreamRepository } from './upstream-repository.ts';

export interface AgentApiOptions {
  readonly access: Access;
  /** With `agentReviews`. */
  readonly agents: TokenReviews;
  /** User name of the nodes' agents. Nobody else is one, but the CSI driver, which is asked for less. */
  readonly agentName: string;
  /** The CSI driver of the nodes, by its user name, and what it is answered from; undefined where there is none. */
  readonly driver: { readonly name: string; readonly sources: ConfigurationSources } | undefined;
  /** Where the webhook points images to: an agent has to be reachable there. */
  readonly imageHost: string;
  /** Serves a request of the registry API for a caller. */
  readonly serve: (request: IncomingMessage, response: ServerResponse, call: Call) => void;
  /** Told of what went wrong here; refusals are not told. */
  readonly onError: (error: unknown) => void;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/**
 * How tokens of agents and CSI drivers are reviewed. A node asks about once a minute, so that most of its requests would
 * cost the API server a review, if tokens counted no longer than those of callers; and there are two on each node.
 */
export const agentReviews = { audience: agentAudience, max: 65_536, acceptedMs: 300_000 } as const;

const bodyLengthMax = 262_144;

/** The centre's side of the agents' protocol, for an HTTPS server. */
export function buildAgentApi(options: AgentApiOptions): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    answer(request, response, options).catch((error: unknown) => {
      // The agent went away, as one does whose pull was cancelled: that is no failure, and nobody is left to tell.
      if (response.destroyed) return;
      if (!(error instanceof ProxyError)) options.onError(error);
      if (response.headersSent) return void response.destroy();
      const refusal =
        error instanceof ProxyError ? error : new ProxyError('INTERNAL', 'the centre failed; its log has more');
      // What is relayed goes on to a registry client as it is.
      const isRelayed = (request.url ?? '').startsWith(`${relayPath}/`);
      send(response, refusal.status, isRelayed ? refusal.toBody() : formatRefusal(refusal), refusal.headers);
    });
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, options: AgentApiOptions): Promise<void> {
  const departure = new AbortController();
  response.once('close', () => departure.abort(new DOMException('the agent went away', 'AbortError')));
  const agent = await agentOf(request, options, departure.signal);
  const { node } = agent;
  const origin = { address: request.socket.remoteAddress ?? '', node };
  const path = request.url ?? '';
  const { driver } = options;
  if (agent.name === driver?.name) {
    return answerDriver(request, response, { path, origin, sources: driver.sources, signal: departure.signal });
  }
  if (path.startsWith(`${relayPath}/`)) {
    const token = request.headers[callerTokenHeader];
    delete request.headers[callerTokenHeader];
    request.url = path.slice(relayPath.length);
    return options.serve(request, response, { token: typeof token === 'string' ? token : undefined, origin });
  }
  if (request.method === 'POST' && path === grantsPath) {
    const question = await readQuestion(request, grantQuestion);
    const body = await grantFor(question, { token: question.token, origin }, options, departure.signal);
    return send(response, 200, JSON.stringify(body));
  }
  if (request.method === 'POST' && path === callersPath) {
    const { token } = await readQuestion(request, callerQuestion);
    const caller = await options.access.identify({ token, origin }, departure.signal);
    return send(response, 200, JSON.stringify({ caller: caller.name }));
  }
  if (request.method === 'GET' && path === selfPath) {
    return send(response, 200, JSON.stringify({ node, imageHost: options.imageHost }));
  }
  throw unknownRoute();
}

interface DriverCall {
  readonly path: string;
  readonly origin: CallOrigin;
  readonly sources: ConfigurationSources;
  readonly signal: AbortSignal;
}

/** The CSI driver asks for files, and for nothing else: it never sees a grant. */
async function answerDriver(
  request: IncomingMessage,
  response: ServerResponse,
  { path, origin, sources, signal }: DriverCall,
): Promise<void> {
  if (request.method === 'POST' && path === configurationsPath) {
    const question = await readQuestion(request, configurationQuestion);
    return send(response, 200, JSON.stringify(await renderVolume(question, origin, sources, signal)));
  }
  if (request.method === 'POST' && path === configurationRevisionsPath) {
    const { wants } = await readQuestion(request, revisionsQuestion);
    return send(response, 200, JSON.stringify({ revisions: volumeRevisions(wants, sources) }));
  }
  throw unknownRoute();
}

const unknownRoute = (): ProxyError =>
  new ProxyError('ROUTE_UNKNOWN', 'this is the API for agents, version 1: is the agent of another version?');

async function agentOf(
  request: IncomingMessage,
  options: AgentApiOptions,
  signal: AbortSignal,
): Promise<{ readonly name: string; readonly node: string }> {
  const token = tokenOf(request.headers.authorization);
  const origin = { address: request.socket.remoteAddress ?? '' };
  const identity = token === undefined ? undefined : await options.agents.identify(token, origin, signal);
  const names = [options.agentName, ...(options.driver === undefined ? [] : [options.driver.name])];
  if (identity === undefined || !names.includes(identity.username)) {
    throw new ProxyError('AGENT_UNKNOWN', `only agents with a token of ${names.join(' or ')} are served here`);
  }
  if (identity.node !== undefined) return { name: identity.username, node: identity.node };
  throw new ProxyError('AGENT_UNKNOWN', "the agent's token names no node: it has to be the projected one of its pod");
}

async function readQuestion<T extends z.ZodType>(request: IncomingMessage, schema: T): Promise<z.infer<T>> {
  if (Number(request.headers['content-length'] ?? Number.NaN) <= bodyLengthMax) {
    const parsed = schema.safeParse(parseJson(await text(request)));
    if (parsed.success) return parsed.data;
  }
  throw new ProxyError('REQUEST_INVALID', 'the question is not one of version 1 of this API');
}

/** What may leave the centre of what a caller is granted here. */
async function grantFor(question: GrantQuestion, call: Call, options: AgentApiOptions, signal: AbortSignal) {
  const { connector: key, repository, refused, isForbidden } = question;
  const want = { ...call, connector: key, repository, action: 'pull' } as const;
  const { caller, connector, grants } = await options.access.admit(want, signal);
  const upstream: GrantWant = {
    connector,
    repository: upstreamRepository(connector, repository),
    actions: ['pull'],
    caller,
    ...(refused && { refused: { grant: refused, challenge: undefined, isForbidden } }),
  };
  const grant = await grants.grant(upstream, signal);
  // What was refused and is all there is goes the centre's way, which sees the registry's own challenge.
  const isSpent = refused !== undefined && !isForbidden && isSameGrant(grant, refused);
  const isHandedOut = !isSpent && mayLeave(grant, upstream, options);
  return formatGrantAnswer(caller.name, connector, isHandedOut ? grant : { kind: 'relay' });
}

function mayLeave(grant: Grant, want: GrantWant, { now = Date.now }: AgentApiOptions): boolean {
  const origin = originOf(grant);
  // Here it is known that others may do better where the registry says that there is nothing.
  if (origin === undefined || origin.isUnproven) return false;
  return isNarrow(grant, want, credentialsBehind(grant), now());
}

function send(response: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>> = {}) {
  response.writeHead(status, {
    ...headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}
