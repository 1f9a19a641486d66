import { type Exchange, type ServiceAnswer, serviceError } from './service.ts';

export interface SecretVersion {
  /** Instead of JSON of a user name and a password: bytes of any kind. */
  readonly content: Uint8Array | string;
  /** By default CURRENT. PENDING leaves what was CURRENT where it is. */
  readonly stage?: 'CURRENT' | 'PENDING';
  /** Replaces fields of `secretBundleContent`, for answers that are none. */
  readonly bundleContent?: unknown;
}

interface StoredVersion extends SecretVersion {
  readonly number: number;
}

/** The secrets of a vault, in versions with rotation states. */
export class VaultContents {
  readonly #secrets = new Map<string, { versions: StoredVersion[]; current: number }>();

  /** Adds a version, which is LATEST from now on; returns its number. */
  put(secretId: string, version: SecretVersion): number {
    const secret = this.#secrets.get(secretId) ?? { versions: [], current: 0 };
    const number = secret.versions.length + 1;
    secret.versions.push({ ...version, number });
    if (version.stage !== 'PENDING') secret.current = number;
    this.#secrets.set(secretId, secret);
    return number;
  }

  /** Makes a version CURRENT, a newer or an older one. */
  promote(secretId: string, number: number): void {
    const secret = this.#secrets.get(secretId);
    if (secret !== undefined) secret.current = number;
  }

  remove(secretId: string): void {
    this.#secrets.delete(secretId);
  }

  /** `GET /20190301/secretbundles/<id>?stage=…`, once the caller is known. */
  answer({ request }: Exchange): ServiceAnswer {
    const url = new URL(request.url ?? '', 'http://vault');
    const [, escaped = ''] = /^\/20190301\/secretbundles\/([^/]+)$/.exec(url.pathname) ?? [];
    const secretId = decodeURIComponent(escaped);
    const secret = this.#secrets.get(secretId);
    const stage = url.searchParams.get('stage') ?? 'CURRENT';
    const number = stage === 'LATEST' ? secret?.versions.length : stage === 'CURRENT' ? secret?.current : undefined;
    const version = secret?.versions.find((candidate) => candidate.number === number);
    if (secret === undefined || version === undefined) return serviceError(404, 'NotAuthorizedOrNotFound');
    const content = Buffer.from(version.content).toString('base64');
    const stages = [
      ...(version.number === secret.current ? ['CURRENT'] : []),
      ...(version.number === secret.versions.length ? ['LATEST'] : []),
    ];
    const secretBundleContent = version.bundleContent ?? { contentType: 'BASE64', content };
    return { status: 200, body: { secretId, versionNumber: version.number, stages, secretBundleContent } };
  }
}
