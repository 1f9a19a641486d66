import { ProxyError } from '../platform/errors.ts';
import type { AccessReviews } from './access-reviews.ts';
import type { CallerSource } from './caller.ts';
import type { Identity, TokenReviews } from './token-reviews.ts';

export interface ClusterCallersOptions {
  readonly tokens: TokenReviews;
  readonly access: AccessReviews;
}

/** Callers by their Kubernetes tokens; what they may do is what RBAC gives them on `connectors/proxy`. */
export function clusterCallers({ tokens, access }: ClusterCallersOptions): CallerSource {
  return {
    async identify(token, origin, signal) {
      if (token === undefined) return undefined;
      const identity = await tokens.identify(token, origin, signal);
      if (identity === undefined) return undefined;
      checkNode(identity, origin.node);
      return {
        name: identity.username,
        may: (action, connector, waiting = signal) => access.may(identity, action, connector, waiting),
      };
    },
  };
}

/** A token that was taken from a pod is of no use through the agent of another node. */
function checkNode({ node }: Identity, agentNode: string | undefined): void {
  if (agentNode === undefined || node === undefined || node === agentNode) return;
  throw new ProxyError('CALLER_UNKNOWN', `the token is of a pod on node ${node}, and came through node ${agentNode}`);
}
