import type { Certified } from './authorities.ts';
import type { Exchange, ServiceAnswer } from './service.ts';
import { instanceId, tenancyId } from './trust.ts';

export interface MetadataOptions {
  /** What `instance/region` says, by default `fra`. */
  readonly region?: string;
  /** What `instance/regionInfo` says, by default Frankfurt's; null: there is none. */
  readonly regionInfo?: Readonly<Record<string, string>> | null;
}

export interface InstanceIdentity {
  leaf: Certified;
  /** PEM */
  intermediate: string;
}

const frankfurt = {
  realmKey: 'oc1',
  realmDomainComponent: 'oraclecloud.com',
  regionKey: 'FRA',
  regionIdentifier: 'eu-frankfurt-1',
};

/** The metadata service, version 2: nothing without the header, nothing to what comes through a proxy. */
export function answerMetadata(
  { request }: Exchange,
  { region = 'fra', regionInfo = frankfurt }: MetadataOptions,
  { leaf, intermediate }: InstanceIdentity,
): ServiceAnswer {
  if (request.headers.authorization !== 'Bearer Oracle') return { status: 404, body: 'not found' };
  if (request.headers['x-forwarded-for'] !== undefined) return { status: 403, body: 'forbidden' };
  const found: Readonly<Record<string, unknown>> = {
    'instance/region': region,
    'instance/regionInfo': regionInfo,
    'instance/': { id: instanceId, region, canonicalRegionName: frankfurt.regionIdentifier, tenantId: tenancyId },
    'identity/cert.pem': leaf.certificate,
    'identity/key.pem': leaf.privateKey,
    'identity/intermediate.pem': intermediate,
  };
  const body = found[/^\/opc\/v2\/(.*)$/.exec(request.url ?? '')?.[1] ?? ''];
  return body === undefined || body === null ? { status: 404, body: 'not found' } : { status: 200, body };
}
