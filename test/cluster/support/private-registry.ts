import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SelfSigned } from '../../real/support/certificate.ts';
import { type ClientHome, makeClientHome } from '../../real/support/clients.ts';
import { type RealRegistry, startRegistry } from '../../real/support/distribution.ts';
import { writeOciLayout } from '../../real/support/oci-layout.ts';
import { type Credential, startTokenIssuer, type TokenIssuer } from '../../real/support/token-issuer.ts';
import type { OciContent } from '../../support/image.ts';

/** How a registry authenticates: tokens for what was asked, tokens for more than that, or Basic alone. */
export type Authentication = 'tokens' | 'wide tokens' | 'basic';

/** A Distribution registry on an address that the node and its pods reach, closed to all but `credential`. */
export interface PrivateRegistry {
  /** `address:port` */
  readonly host: string;
  readonly origin: string;
  readonly registry: RealRegistry;
  /** Absent with Basic. */
  readonly issuer: TokenIssuer | undefined;
  /** Pushes to `repository:tag`. Returns the image's full name. */
  push(name: string, content: OciContent): Promise<string>;
  close(): Promise<void>;
}

export async function startPrivateRegistry(
  address: string,
  credential: Credential,
  authentication: Authentication = 'tokens',
  tls?: SelfSigned,
): Promise<PrivateRegistry> {
  const isWide = authentication === 'wide tokens';
  const issuer = authentication === 'basic' ? undefined : await startTokenIssuer({ address, credential, isWide });
  const access = issuer === undefined ? { basic: credential } : { issuer };
  const registry = await startRegistry('registry', { address, access, ...(tls === undefined ? {} : { tls }) });
  const home = await makeClientHome();
  const { host, origin } = registry;
  return {
    host,
    origin,
    registry,
    issuer,
    push: async (name, content) => {
      await push(
        home,
        content,
        `${host}/${name}`,
        issuer === undefined ? credential : (issuer.credential ?? credential),
      );
      return `${host}/${name}`;
    },
    close: async () => {
      await Promise.all([registry.stop(), issuer?.close(), home.close()]);
    },
  };
}

/** With skopeo: crane refuses a realm at a private address. */
async function push(home: ClientHome, content: OciContent, to: string, { username, password }: Credential) {
  const layout = await mkdtemp(join(home.folder, 'layout-'));
  try {
    await writeOciLayout(layout, content, 'seed');
    const flags = ['--preserve-digests', '--dest-tls-verify=false', `--dest-creds=${username}:${password}`];
    await home.mustRun('skopeo', ['copy', '--quiet', ...flags, `oci:${layout}:seed`, `docker://${to}`]);
  } finally {
    await rm(layout, { recursive: true });
  }
}
