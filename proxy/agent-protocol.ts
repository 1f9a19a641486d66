/**
 * What agents and the centre say to each other, over TLS: `POST /v1/grants` with the agent's own token as Bearer, and
 * requests that only the centre may send below `/v1/relay/`. One version of skew is allowed: who reads passes over
 * fields that it does not know.
 */
import { z } from 'zod';
import { connectorKey } from '../connectors/configurations/protocol.ts';
import type { ResolvedConnector } from '../connectors/connector.ts';
import { isRepository } from '../connectors/image-reference.ts';
import { tokenMax } from '../connectors/pull-identity.ts';
import type { Grant } from '../credentials/grant.ts';

export const grantsPath = '/v1/grants';
export const callersPath = '/v1/callers';
export const selfPath = '/v1/agents/self';
export const relayPath = '/v1/relay';
/** Carries the caller's token beside the agent's own. */
export const callerTokenHeader = 'oci-connector-caller-token';
/** Audience of the agents' own tokens, which no caller's token can be for. */
export const agentAudience = 'oci-connector-agent';

const grant = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('authorization'), value: z.string().min(1), expiresAt: z.number() }),
  z.object({ kind: z.literal('anonymous') }),
  z.object({ kind: z.literal('relay') }),
]);

export const grantQuestion = z.object({
  /** The caller's token; absent where none was sent. */
  token: z.string().max(tokenMax).optional(),
  connector: connectorKey,
  /** As the caller names it. */
  repository: z.string().refine(isRepository),
  /**
   * A grant that the registry has just refused. The challenge that came with it stays with the agent: one that was made
   * up would lead the credential to a realm of its maker's.
   */
  refused: grant.optional(),
  /** It was refused with 403. Absent from an agent of an older version. */
  isForbidden: z.boolean().optional(),
});

/** A connector as an agent needs it: without its Secret. */
const agentConnector = z.object({
  key: connectorKey,
  uid: z.string(),
  revision: z.string(),
  address: z.object({ origin: z.url(), registries: z.array(z.string()), pathPrefix: z.string() }),
  ca: z.string().optional(),
  redirect: z.enum(['handover', 'follow']),
  /** Absent from a centre of an older version. */
  maxConcurrentRequests: z.number().optional(),
  trustedHosts: z.array(z.string()),
});

export const grantAnswer = z.object({ caller: z.string(), connector: agentConnector, grant });
export const callerQuestion = z.object({ token: z.string().max(tokenMax).optional() });
export const callerAnswer = z.object({ caller: z.string() });
/** What an agent is told about itself, to test itself by. */
export const selfAnswer = z.object({ node: z.string(), imageHost: z.string() });

export type GrantQuestion = z.infer<typeof grantQuestion>;
export type GrantAnswer = z.infer<typeof grantAnswer>;

export function formatGrantAnswer(caller: string, connector: ResolvedConnector, granted: Grant): GrantAnswer {
  const { key, uid, revision, address, ca, redirect, maxConcurrentRequests, trustedHosts } = connector;
  return {
    caller,
    connector: {
      key,
      uid,
      revision,
      address: { ...address, registries: [...address.registries] },
      ca,
      redirect,
      maxConcurrentRequests,
      trustedHosts: [...trustedHosts],
    },
    grant: granted,
  };
}

const unknownToAgents = {
  credentials: [],
  problems: [],
  tunnelHosts: [],
  isReady: undefined,
  whenUnavailable: 'rewrite',
} as const;

/** The connector of an answer, for the data path: it has no credentials, and no problems, or there were no answer. */
export function readConnector({ connector }: GrantAnswer): ResolvedConnector {
  return Object.freeze({
    ...connector,
    ca: connector.ca,
    maxConcurrentRequests: connector.maxConcurrentRequests,
    ...unknownToAgents,
  });
}
