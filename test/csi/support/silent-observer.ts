import type { DriverObserver } from '../../../csi/driver.ts';

export const silentObserver: DriverObserver = {
  published: () => {},
  publishFailed: () => {},
  unpublished: () => {},
  unpublishFailed: () => {},
  asked: () => {},
};
