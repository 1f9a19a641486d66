import type { Decision } from './decision.ts';

/** The AdmissionReview that answers a request: always allowed, with a patch only where something changes. */
export function formatReview(uid: string, decision: Pick<Decision, 'patch' | 'warnings' | 'auditAnnotations'>): string {
  const { patch, warnings, auditAnnotations } = decision;
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: true,
      ...(patch.length === 0 ? {} : { patchType: 'JSONPatch', patch: toBase64(JSON.stringify(patch)) }),
      ...(warnings.length === 0 ? {} : { warnings }),
      ...(Object.keys(auditAnnotations).length === 0 ? {} : { auditAnnotations }),
    },
  });
}

const toBase64 = (text: string): string => Buffer.from(text).toString('base64');

/** A `Status` of the Kubernetes API, which its server passes on to the user. */
export function formatStatus(code: number, reason: string, message: string): string {
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code };
  return `${JSON.stringify(status)}\n`;
}
