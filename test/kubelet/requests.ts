import { type ProviderRequest, parseRequest } from '../../kubelet/request.ts';

export const group = 'credentialprovider.kubelet.k8s.io';

/** What the kubelet writes for an image. */
export const requestText = (image: string, fields: object = {}): string =>
  JSON.stringify({ apiVersion: `${group}/v1`, kind: 'CredentialProviderRequest', image, ...fields });

export function requestFor(image: string, fields: object = {}): ProviderRequest {
  const parsed = parseRequest(Buffer.from(requestText(image, fields)));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.request;
}
