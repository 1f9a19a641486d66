import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { driverName } from '../connectors/configurations/protocol.ts';
import type { Logger } from '../platform/logger.ts';
import { allMounts, type Mount, mountsAt } from './mount-table.ts';

const run = promisify(execFile);

/** What a tmpfs may hold at most. */
export interface TmpfsLimits {
  readonly bytes: number;
  readonly inodes: number;
}

/** The mounts of this machine. */
export interface Mounts {
  all(): Promise<readonly Mount[]>;
  /** What is mounted at `target`, the lowest first. */
  at(target: string): Promise<readonly Mount[]>;
  /** Mounts an empty tmpfs of ours. */
  mount(target: string, limits: TmpfsLimits): Promise<void>;
  resize(target: string, limits: TmpfsLimits): Promise<void>;
  /** Takes the uppermost mount away; who has files of it open keeps those. */
  unmount(target: string): Promise<void>;
}

const timeoutMs = 20_000;
/** Commands of util-linux answer in the language of their environment, and look for helpers in PATH. */
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };

/** Mounts by the programs of util-linux, without a shell. */
export function linuxMounts(log: Logger): Mounts {
  let canForbidSwap = true;
  const mount = async (target: string, limits: TmpfsLimits): Promise<void> => {
    const options = [...optionsOf(limits), 'mode=0755', 'nosuid', 'nodev', 'noexec', 'noatime'];
    // The driver's name is the source, by which mount tables tell our file systems from others.
    const args = (all: readonly string[]) => ['-i', '-t', 'tmpfs', '-o', all.join(','), driverName, target];
    if (canForbidSwap) {
      try {
        return await execute('mount', args([...options, 'noswap']));
      } catch (error) {
        if ((await mountsAt(target)).length > 0) throw error;
        // Linux knows noswap since 6.4.
        await execute('mount', args(options));
        canForbidSwap = false;
        return log.info('this kernel may swap tmpfs out');
      }
    }
    await execute('mount', args(options));
  };
  return {
    all: allMounts,
    at: mountsAt,
    mount,
    resize: (target, limits) => execute('mount', ['-i', '-o', ['remount', ...optionsOf(limits)].join(','), target]),
    unmount: async (target) => {
      try {
        await execute('umount', ['-i', '--', target]);
      } catch {
        // Whoever stands in it keeps it until he goes, but nobody finds it any more.
        await execute('umount', ['-i', '-l', '--', target]);
      }
    },
  };
}

const optionsOf = ({ bytes, inodes }: TmpfsLimits): readonly string[] => [`size=${bytes}`, `nr_inodes=${inodes}`];

async function execute(command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, args, { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 65_536, env });
  } catch (error) {
    const { stderr, code, signal } = error as { stderr?: string; code?: unknown; signal?: unknown };
    const reason = stderr?.trim() || `it ended with ${String(signal ?? code)}`;
    throw new Error(`${command} ${args.join(' ')}: ${reason}`, { cause: error });
  }
}
