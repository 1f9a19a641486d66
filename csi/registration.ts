import { join } from 'node:path';
import { driverName } from '../connectors/configurations/protocol.ts';
import type { Timers } from '../platform/kubernetes/timers.ts';
import type { Logger } from '../platform/logger.ts';
import { printable } from '../platform/printable.ts';
import { registrationService } from './services.ts';
import { unaryCall } from './unary-call.ts';
import { UnixServer } from './unix-server.ts';

export interface RegistrationOptions {
  readonly kubeletRoot: string;
  /** The driver's socket, as the kubelet finds it. */
  readonly endpoint: string;
  readonly timers: Timers;
  readonly log: Logger;
}

/** Versions of CSI: the kubelet takes any 1.x for what it knows, and looks at the capabilities. */
const supportedVersions = ['1.0.0'];
/** The kubelet does not come back by itself after its own refusal. */
const retryMs = 10_000;
/** Nor does it after a notification that was lost on its way. */
const silenceMs = 60_000;

interface RegistrationStatus {
  readonly plugin_registered: boolean;
  readonly error: string;
}

/** Makes the driver known to the kubelet, through the folder that its plugin watcher looks into. */
export class Registration {
  readonly #options: RegistrationOptions;
  #problem: string | undefined = 'the kubelet has not registered this driver yet';
  #server: UnixServer | undefined;
  #cancel: (() => void) | undefined;

  private constructor(options: RegistrationOptions) {
    this.#options = options;
  }

  static async start(options: RegistrationOptions): Promise<Registration> {
    const registration = new Registration(options);
    await registration.#listen();
    return registration;
  }

  /** Why the driver is not registered; undefined when it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** The kubelet forgets the driver. */
  async close(): Promise<void> {
    this.#cancel?.();
    await this.#server?.close();
  }

  async #listen(): Promise<void> {
    const { kubeletRoot, endpoint, timers, log } = this.#options;
    this.#server = await UnixServer.listen({
      path: join(kubeletRoot, 'plugins_registry', `${driverName}-reg.sock`),
      timers,
      onRenewed: (err) => {
        if (err === undefined) return log.info('the registration socket was gone, and is there again');
        this.#problem = 'the registration socket cannot be made';
        log.error({ err }, this.#problem);
      },
      services: [
        [
          registrationService,
          {
            GetInfo: unaryCall(() => {
              this.#renewIn(silenceMs);
              return { type: 'CSIPlugin', name: driverName, endpoint, supported_versions: supportedVersions };
            }),
            NotifyRegistrationStatus: unaryCall((answer: RegistrationStatus) => this.#note(answer)),
          },
        ],
      ],
    });
  }

  #note({ plugin_registered: isRegistered, error }: RegistrationStatus): object {
    const { log } = this.#options;
    this.#cancel?.();
    if (isRegistered) {
      this.#problem = undefined;
      log.info('registered with the kubelet');
    } else {
      this.#problem = `the kubelet refused to register this driver: ${printable(error, 1_024)}`;
      log.error(this.#problem);
      this.#renewIn(retryMs);
    }
    return {};
  }

  #renewIn(ms: number): void {
    const { log, timers } = this.#options;
    this.#cancel?.();
    this.#cancel = timers.after(ms, () => {
      this.#server?.renew().catch((err) => log.error({ err }, 'the registration socket cannot be made'));
    });
  }
}
