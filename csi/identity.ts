import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { unaryCall } from './unary-call.ts';

/** What the cluster calls this driver: the name of its CSIDriver. */
export const driverName = 'connectors-csi';

/** CSI wants one and gives it no meaning; what runs is told by its image. */
const vendorVersion = '1';

/** The Identity service. */
export const identity: UntypedServiceImplementation = {
  GetPluginInfo: unaryCall(() => ({ name: driverName, vendor_version: vendorVersion })),
  GetPluginCapabilities: unaryCall(() => ({ capabilities: [] })),
  Probe: unaryCall(() => ({ ready: { value: true } })),
};
