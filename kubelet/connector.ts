import { canonicalRegistry } from '../connectors/image-reference.ts';
import { readJwt } from '../platform/jwt.ts';
import { ProviderError } from './provider-error.ts';
import type { ProviderRequest } from './request.ts';
import type { Answer } from './response.ts';

const username = 'token';
const marginMs = 60_000;

export function isForConnector(request: ProviderRequest, address: string | undefined): boolean {
  return address !== undefined && canonicalRegistry(address) === request.registry;
}

/**
 * Hands the token of the pod's service account over to the agent of the node (KEP-4412). It is good for the whole host,
 * and what the kubelet keeps it keeps by service account, or by token: a kubelet whose cacheType is not Token refuses
 * the answer, because the token is in it as it is. So no other account ever gets it, and it is kept no longer than it
 * lives; one whose end cannot be read is not kept at all.
 * @throws ProviderError
 */
export function answerWithToken({ token, host }: ProviderRequest, now: number): Answer {
  if (token === undefined) throw new ProviderError(noTokenMessage);
  const exp = readJwt(token)?.claims['exp'];
  const endsAt = typeof exp === 'number' ? exp * 1000 : undefined;
  if (endsAt !== undefined && endsAt <= now) {
    throw new ProviderError('the service account token in the request has expired: is the clock of this node right?');
  }
  return {
    cacheKeyType: 'Registry',
    expiresAt: endsAt === undefined ? undefined : Math.max(now, endsAt - marginMs),
    auth: { [host]: { username, password: token } },
  };
}

const noTokenMessage =
  'the kubelet sent no service account token: write tokenAttributes (serviceAccountTokenAudience: oci-connector, ' +
  'cacheType: Token; requireServiceAccount: true where the provider is for this address alone, false where it is for ' +
  'other registries too, or static pods get nothing from it) for this provider into its CredentialProviderConfig, and ' +
  'grant group system:nodes the verb request-serviceaccounts-token-audience on resource oci-connector; ' +
  'a pod without service account, as a static one, has no token';
