import { nvidia } from "../gpus.ts";
import type { Obstacle } from "./obstacle.ts";

/** NVIDIA's driver in the kernel and its library are of different versions, as after an update without a restart. */
export const versions: Obstacle = ({ maker }, host) => {
  const kernel = / (\d+\.\d+(\.\d+)?) /.exec(host.nvidia.version)?.[1];
  const file = host.libraries.get("libGLX_nvidia.so.0");
  const library = file && /\.so\.(\d+\.\d+(\.\d+)?)$/.exec(file)?.[1];
  if (maker.vendor !== nvidia || !kernel || !library || kernel === library) return undefined;
  return {
    says: `NVIDIA's driver is ${kernel} in the kernel and ${library} in ${file}`,
    advice: host.container === ""
      ? "restart, so that the kernel loads the new one"
      : "leave the library out of the image: the container's host brings its own",
  };
};
