import { nvidia } from "../gpus.ts";
import type { Obstacle } from "./obstacle.ts";

/** NVIDIA's libGLX_nvidia is linked to X11's libraries, also where there is no screen; slim containers lack them. */
export const x11Libraries: Obstacle = ({ maker }, { drivers, libraries }) => {
  const usesGlx = maker.vendor === nvidia && libraries.has("libGLX_nvidia.so.0") &&
    drivers.some(({ library }) => library.includes("libGLX_nvidia"));
  const missing = ["libX11.so.6", "libXext.so.6"].filter((name) => !libraries.has(name));
  if (!usesGlx || missing.length === 0) return undefined;
  return {
    says: `NVIDIA's driver cannot be loaded without ${missing.join(" and ")}`,
    advice: "install them (Debian, Ubuntu: libxext6, Fedora: libXext)",
  };
};
