import { z } from 'zod';
import { callerAudience, tokenMax } from '../connectors/pull-identity.ts';
import { ProxyError } from '../platform/errors.ts';
import { parseJson } from '../platform/json.ts';
import { invalidArgument } from './errors.ts';
import type { Attributes } from './volume-attributes.ts';

const attribute = 'csi.storage.k8s.io/serviceAccount.tokens';
const tokensMax = 131_072;
const shape = z.record(z.string(), z.object({ token: z.string().min(1).max(tokenMax) }));

/**
 * The pod's token that the kubelet hands over: among the secrets with `serviceAccountTokenInSecrets`, else among the
 * attributes.
 * @throws ProxyError TOKEN_REQUIRED, CsiError INVALID_ARGUMENT; no message quotes what was read
 */
export function readPodToken(attributes: Attributes, secrets: Attributes): string {
  const text = secrets[attribute] ?? attributes[attribute];
  if (text === undefined) throw missing('the kubelet handed over no token of the pod');
  if (text.length > tokensMax) throw invalidArgument('the tokens of the pod are too long');
  const found = shape.safeParse(parseJson(text));
  if (!found.success) throw invalidArgument(`${attribute} is not what the kubelet writes`);
  const token = Object.hasOwn(found.data, callerAudience) ? found.data[callerAudience]?.token : undefined;
  if (token === undefined) throw missing('the kubelet handed over tokens of the pod, but for other audiences');
  return token;
}

const missing = (what: string): ProxyError =>
  new ProxyError('TOKEN_REQUIRED', `${what}: CSIDriver.spec.tokenRequests has to ask for audience ${callerAudience}`);
