import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type ProgramResult, runProgram } from '../../real/support/program.ts';

export const installScript = join(import.meta.dirname, '../../../deploy/cloud-init/install.sh');

type Answer = string | Buffer | ((request: IncomingMessage, response: ServerResponse) => void);

/** What the script meets: the files of a node in a temporary folder, its services, and servers for what it fetches. */
export interface NodeFiles extends AsyncDisposable {
  /** Ends in a folder whose name has a space. */
  readonly root: string;
  readonly url: string;
  /** By path: what the server answers; a path that is not here is a 404. */
  readonly answers: Map<string, Answer>;
  /** Paths that were asked for. */
  readonly asked: string[];
  write(path: string, content: string, mode?: number): Promise<void>;
  read(path: string): Promise<string>;
  /** Every file, folder and link with its mode and content, without what a restart loses. */
  snapshot(): Promise<Record<string, string>>;
  /** The whole environment of the script. */
  readonly environment: Readonly<Record<string, string>>;
  /** Puts a program before the machine's own. */
  fake(name: string, text: string): Promise<void>;
  /** Runs install.sh, with `env` beside its environment. */
  install(args?: readonly string[], env?: Record<string, string>): Promise<ProgramResult>;
  /** The same in a process group of its own, where a fake program ends it: rejects then. */
  interrupted(args?: readonly string[], env?: Record<string, string>): Promise<ProgramResult>;
  /** Arguments of each run of OKE's init. */
  okeRuns(): Promise<string[][]>;
  /**
   * What systemctl was called with, but for questions. A restart gives to /proc/4711/cmdline, where it is there, its first
   * content, or that of the file `COMMAND` of the environment, and what the file `FLAGS_FILE` (/etc/default/kubelet)
   * assigns. Before it, the program `before-restart` is run, where there is one.
   */
  services(): Promise<string[]>;
  setActive(service: string, isActive: boolean): Promise<void>;
  /** The kubelet does not start again while its flags name our configuration. */
  refuseOurFlags(): Promise<void>;
}

export const executable = '#!/bin/sh\n# stands for the executable\nexit 0\n';
export const sha256 = (content: string | Buffer): string => createHash('sha256').update(content).digest('hex');

const systemctl = `#!/bin/bash
case $1 in
is-active) [[ -e $FAKES/active-\${@: -1} ]] && exit 0; exit 3 ;;
show) if [[ -e $OCI_CONNECTOR_ROOT/proc/4711 ]]; then echo 4711; else echo 0; fi ;;
restart)
  [[ ! -x $FAKES/before-restart ]] || "$FAKES/before-restart"
  echo "$*" >>"$FAKES/services"
  command=$OCI_CONNECTOR_ROOT/proc/4711/cmdline
  if [[ -e $command ]]; then
    [[ -e $FAKES/command ]] || cp "\${COMMAND:+$OCI_CONNECTOR_ROOT}\${COMMAND:-$command}" "$FAKES/command"
    flags=$(sed -n 's/^KUBELET_EXTRA_ARGS=//p' "$OCI_CONNECTOR_ROOT\${FLAGS_FILE-/etc/default/kubelet}" 2>/dev/null)
    eval "set -- restart $flags"
    cat "$FAKES/command" >"$command"
    for word in \${*:2}; do printf '%s\\0' "$word" >>"$command"; done
  fi
  if [[ -e $FAKES/refuse ]] && grep -rqs kubelet-credential-providers "$OCI_CONNECTOR_ROOT/etc/default/kubelet"; then
    rm -f "$FAKES/active-kubelet"
  else
    touch "$FAKES/active-kubelet"
  fi ;;
*) echo "$*" >>"$FAKES/services" ;;
esac
`;

export async function makeNodeFiles(): Promise<NodeFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'oci-connector-node-'));
  const root = join(folder, 'the node');
  const fakes = join(folder, 'fakes');
  await mkdir(root, { recursive: true });
  await mkdir(fakes);
  const fake = (name: string, text: string) => writeFile(join(fakes, name), text, { mode: 0o755 });
  await fake('systemctl', systemctl);
  await fake('uname', `#!/bin/sh\necho "\${MACHINE:-x86_64}"\n`);
  await fake('restorecon', '#!/bin/sh\n');
  const server = await startServer();
  const { answers } = server;
  const okeInit = `#!/bin/bash\n{ printf '%s\\0' "$@"; printf '\\n'; } >>'${join(fakes, 'oke')}'\nexit "\${OKE_EXIT:-0}"\n`;
  answers.set('/opc/v2/instance/metadata/oke_init_script', Buffer.from(okeInit).toString('base64'));
  answers.set('/opc/v2/instance/metadata/oke-k8version', 'v1.34.1');
  answers.set('/files/oci-connector-credential-provider-linux-amd64', executable);
  answers.set('/files/oci-connector-credential-provider-linux-arm64', `${executable}# arm64\n`);
  const lines = (file: string) => readFile(join(fakes, file), 'utf8').catch(() => '');
  const environment = {
    PATH: `${fakes}:/usr/bin:/bin`,
    FAKES: fakes,
    OCI_CONNECTOR_ROOT: root,
    OCI_CONNECTOR_METADATA_URL: `${server.url}/opc/v2/`,
    OCI_CONNECTOR_URL: `${server.url}/files/oci-connector-credential-provider-linux-{arch}`,
    OCI_CONNECTOR_SHA256_AMD64: sha256(executable),
    OCI_CONNECTOR_SHA256_ARM64: sha256(`${executable}# arm64\n`),
    OCI_CONNECTOR_ATTEMPTS: '2',
    OCI_CONNECTOR_RETRY_SECONDS: '0',
    OCI_CONNECTOR_SETTLE_SECONDS: '0',
  };
  return {
    root,
    environment,
    fake,
    url: server.url,
    answers,
    asked: server.asked,
    write: async (path, content, mode = 0o644) => {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), content);
      await chmod(join(root, path), mode);
    },
    read: (path) => readFile(join(root, path), 'utf8'),
    snapshot: () => snapshotOf(root),
    install: (args = [], env = {}) =>
      runProgram('/bin/bash', [installScript, ...args], { env: { ...environment, ...env } }),
    interrupted: (args = [], env = {}) =>
      runProgram('setsid', ['/bin/bash', installScript, ...args], { env: { ...environment, ...env } }),
    okeRuns: async () => (await lines('oke')).split('\n').slice(0, -1).map(splitArguments),
    services: async () => (await lines('services')).split('\n').slice(0, -1),
    setActive: async (service, isActive) => {
      const file = join(fakes, `active-${service}`);
      await (isActive ? writeFile(file, '') : rm(file, { force: true }));
    },
    refuseOurFlags: () => writeFile(join(fakes, 'refuse'), ''),
    [Symbol.asyncDispose]: async () => {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const splitArguments = (line: string): string[] => line.split('\0').slice(0, -1);

async function startServer() {
  const answers = new Map<string, Answer>();
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    asked.push(path);
    const isMetadata = path.startsWith('/opc/');
    const isRefused = isMetadata && request.headers.authorization !== 'Bearer Oracle';
    const answer = isRefused ? undefined : answers.get(path);
    if (typeof answer === 'function') answer(request, response);
    else response.writeHead(answer === undefined ? 404 : 200).end(answer ?? 'no such thing');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}`, answers, asked, close };
}

async function snapshotOf(root: string): Promise<Record<string, string>> {
  const entries = (await readdir(root, { recursive: true })).sort();
  const lasting = entries.filter((entry) => !/^(var\/)?run(\/|$)|^var(\/lib)?$/.test(entry));
  return Object.fromEntries(
    await Promise.all(
      lasting.map(async (entry) => {
        const stats = await lstat(join(root, entry));
        const content = stats.isFile() ? await readFile(join(root, entry), 'latin1') : 'folder';
        return [entry, `${(stats.mode & 0o7777).toString(8)} ${content}`];
      }),
    ),
  );
}
