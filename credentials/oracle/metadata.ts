import { parseJsonObject } from '../../platform/json.ts';
import { OracleError } from './errors.ts';
import { inStep } from './in-step.ts';
import { firstRealmDomain } from './realms.ts';
import { refusal } from './refusal.ts';
import { loadCommon } from './sdk.ts';
import { type Reply, send } from './send.ts';
import { type Surroundings, urlSetting } from './surroundings.ts';

/** The instance metadata service, version 2, which is reached from the instance alone. */
const defaultUrl = 'http://169.254.169.254/opc/v2/';
/** Version 2 wants to see that the request is no accident, as one by a proxy or a browser would be. */
const headers = { authorization: 'Bearer Oracle', accept: '*/*' };

export interface InstanceRegion {
  /** `eu-frankfurt-1` */
  readonly regionId: string;
  /** `oraclecloud.com` */
  readonly realmDomain: string;
}

export interface InstanceFacts extends InstanceRegion {
  readonly instanceId: string | undefined;
  readonly tenancyId: string | undefined;
}

export interface InstanceIdentity {
  readonly certificate: string;
  readonly privateKey: string;
  /** PEM, one certificate or more. */
  readonly intermediates: string;
}

/** Where the metadata service is, as messages name it. */
const metadataBase = ({ settings }: Surroundings): URL => {
  const text = settings.metadataUrl ?? defaultUrl;
  return urlSetting('metadataUrl', text.endsWith('/') ? text : `${text}/`);
};

/**
 * The region of this instance. Its realm's domain is asked for as well, so that regions and realms work that are newer
 * than this program.
 * @throws OracleError `metadata`
 */
export function readRegion(surroundings: Surroundings, signal: AbortSignal): Promise<InstanceRegion> {
  return inMetadataStep(surroundings, signal, async (within) => {
    const info = await ask(surroundings, 'instance/regionInfo', within);
    const known = info.status === 200 ? regionOfInfo(info.text) : undefined;
    if (known !== undefined) return known;
    if (info.status !== 200 && info.status !== 404) throw refused(surroundings, 'instance/regionInfo', info);
    return regionByName((await read(surroundings, 'instance/region', within)).trim().toLowerCase());
  });
}

/** @throws OracleError `metadata` */
export function readIdentity(surroundings: Surroundings, signal: AbortSignal): Promise<InstanceIdentity> {
  return inMetadataStep(surroundings, signal, async (within) => {
    const paths = ['identity/cert.pem', 'identity/key.pem', 'identity/intermediate.pem'];
    const texts = await Promise.all(paths.map((path) => read(surroundings, path, within)));
    const [certificate = '', privateKey = '', intermediates = ''] = texts;
    return { certificate, privateKey, intermediates };
  });
}

/**
 * The region, and for people whose instance this is, where the service tells.
 * @throws OracleError `metadata`
 */
export async function readInstance(surroundings: Surroundings, signal: AbortSignal): Promise<InstanceFacts> {
  const region = await readRegion(surroundings, signal);
  return inMetadataStep(surroundings, signal, async (within) => {
    const { id, tenantId } = parseJsonObject(await read(surroundings, 'instance/', within)) ?? {};
    const ocid = (value: unknown): string | undefined =>
      typeof value === 'string' && /^ocid1\.[A-Za-z0-9._-]{1,250}$/.test(value) ? value : undefined;
    return { ...region, instanceId: ocid(id), tenancyId: ocid(tenantId) };
  });
}

function inMetadataStep<T>(
  surroundings: Surroundings,
  signal: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const whom = `the metadata service at ${metadataBase(surroundings).host}`;
  return inStep({ step: 'metadata', whom, timeoutMs: surroundings.stepTimeoutMs }, signal, run);
}

const ask = (surroundings: Surroundings, path: string, signal: AbortSignal): Promise<Reply> => {
  const url = new URL(path, metadataBase(surroundings));
  return send(surroundings.dispatchers.direct, 'metadata', { method: 'GET', url, headers }, signal);
};

async function read(surroundings: Surroundings, path: string, signal: AbortSignal): Promise<string> {
  const reply = await ask(surroundings, path, signal);
  if (reply.status !== 200) throw refused(surroundings, path, reply);
  if (reply.text.trim() === '') {
    throw new OracleError('metadata', 'Protocol', `the metadata service answered nothing for ${path}`);
  }
  return reply.text;
}

const refused = (surroundings: Surroundings, path: string, reply: Reply): OracleError =>
  refusal(reply, {
    step: 'metadata',
    whom: `the metadata service at ${metadataBase(surroundings).host}, asked for ${path},`,
    now: surroundings.now,
    advice: { 404: 'this is no instance of Oracle Cloud Infrastructure, or version 2 of the service is off' },
  });

const hostLabel = /^[a-z0-9-]{1,63}$/;
const hostName = /^(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}$/;

/** Both end up in the host that is asked to federate, so that they must look like parts of one. */
function regionOfInfo(text: string): InstanceRegion | undefined {
  const { regionIdentifier, realmDomainComponent } = parseJsonObject(text) ?? {};
  if (typeof regionIdentifier !== 'string' || typeof realmDomainComponent !== 'string') return undefined;
  const found = { regionId: regionIdentifier.toLowerCase(), realmDomain: realmDomainComponent.toLowerCase() };
  return hostLabel.test(found.regionId) && hostName.test(found.realmDomain) ? found : undefined;
}

/** `fra` or `eu-frankfurt-1`. A region that is not known is taken for one of the first realm, as Oracle's SDKs do. */
export async function regionByName(name: string): Promise<InstanceRegion> {
  if (!hostLabel.test(name)) throw new OracleError('metadata', 'Protocol', 'the region is no name of a region');
  const { Region } = await loadCommon();
  const regionId = Region.getRegionIdFromShortCode(name);
  // For an unknown region the SDK answers nothing, whatever its types say.
  const region = Region.fromRegionId(regionId) as import('oci-common').Region | undefined;
  return { regionId, realmDomain: region?.realm.secondLevelDomain ?? firstRealmDomain };
}
