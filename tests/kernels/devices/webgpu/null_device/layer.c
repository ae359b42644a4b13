// A Vulkan layer over Mesa's null devices, RADV's and that of NVK's shim, which compile shaders without a card. They
// have no memory, binary semaphores or commands: this layer answers for them, and nothing runs. It writes what the
// compiler reports for each compute pipeline to $NULL_DEVICE_OUT/ENTRY_POINT, a line for each number: name, tab,
// value.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#define CALL(result) static VKAPI_ATTR result VKAPI_CALL
#define NEXT(name) ((PFN_##name)nextDevice(theDevice, #name))
static PFN_vkGetInstanceProcAddr nextInstance;
static PFN_vkGetDeviceProcAddr nextDevice;
static VkInstance theInstance;
static VkDevice theDevice;
static const VkDeviceSize room = (VkDeviceSize)48 << 30;

CALL(VkResult) succeed(void) { return VK_SUCCESS; }

// Semaphores: all that a submit would have signalled.
CALL(VkResult) CreateSemaphore(VkDevice d, const VkSemaphoreCreateInfo *info, const VkAllocationCallbacks *a, VkSemaphore *s) {
  *s = (VkSemaphore)malloc(8);
  return VK_SUCCESS;
}
CALL(VkResult) GetSemaphoreCounterValue(VkDevice d, VkSemaphore s, uint64_t *value) {
  *value = UINT64_MAX;
  return VK_SUCCESS;
}

// Memory of the host, reserved but hardly touched.
CALL(void) GetMemoryProperties2(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties2 *all) {
  VkPhysicalDeviceMemoryProperties *m = &all->memoryProperties;
  memset(m, 0, sizeof *m);
  m->memoryHeapCount = 1;
  m->memoryHeaps[0] = (VkMemoryHeap){room, VK_MEMORY_HEAP_DEVICE_LOCAL_BIT};
  m->memoryTypeCount = 1;
  m->memoryTypes[0].propertyFlags = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
    VK_MEMORY_PROPERTY_HOST_COHERENT_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
  for (VkBaseOutStructure *p = all->pNext; p; p = p->pNext) {
    if (p->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT) continue;
    ((VkPhysicalDeviceMemoryBudgetPropertiesEXT *)p)->heapBudget[0] = room;
    ((VkPhysicalDeviceMemoryBudgetPropertiesEXT *)p)->heapUsage[0] = 0;
  }
}
CALL(void) GetMemoryProperties(VkPhysicalDevice d, VkPhysicalDeviceMemoryProperties *m) {
  VkPhysicalDeviceMemoryProperties2 all = {.pNext = NULL};
  GetMemoryProperties2(d, &all);
  *m = all.memoryProperties;
}
CALL(void) GetBufferMemoryRequirements(VkDevice d, VkBuffer b, VkMemoryRequirements *m) {
  NEXT(vkGetBufferMemoryRequirements)(d, b, m);
  m->memoryTypeBits = 1;
}
CALL(VkResult) AllocateMemory(VkDevice d, const VkMemoryAllocateInfo *info, const VkAllocationCallbacks *a, VkDeviceMemory *m) {
  void *at = mmap(0, info->allocationSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  *m = (VkDeviceMemory)at;
  return at == MAP_FAILED ? VK_ERROR_OUT_OF_DEVICE_MEMORY : VK_SUCCESS;
}
CALL(VkResult) MapMemory(VkDevice d, VkDeviceMemory m, VkDeviceSize at, VkDeviceSize n, VkMemoryMapFlags f, void **p) {
  *p = (char *)m + at;
  return VK_SUCCESS;
}

CALL(VkResult) CreateComputePipelines(VkDevice d, VkPipelineCache c, uint32_t n, const VkComputePipelineCreateInfo *infos,
                                      const VkAllocationCallbacks *a, VkPipeline *made) {
  VkComputePipelineCreateInfo info = infos[0]; // wgpu makes one at a time
  info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  VkResult result = NEXT(vkCreateComputePipelines)(d, c, n, &info, a, made);
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", getenv("NULL_DEVICE_OUT"), info.stage.pName);
  FILE *file = result == VK_SUCCESS ? fopen(path, "w") : NULL;
  if (!file) return VK_ERROR_UNKNOWN;
  VkPipelineExecutableInfoKHR executable = {VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, NULL, *made, 0};
  VkPipelineExecutableStatisticKHR numbers[64];
  for (int i = 0; i < 64; i++) numbers[i] = (VkPipelineExecutableStatisticKHR){VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
  uint32_t count = 64;
  NEXT(vkGetPipelineExecutableStatisticsKHR)(d, &executable, &count, numbers);
  for (uint32_t i = 0; i < count; i++) fprintf(file, "%s\t%llu\n", numbers[i].name, (unsigned long long)numbers[i].value.u64);
  fclose(file);
  return result;
}

// The chain of layers: each call of a create function moves on to the next.
#define LINK(Info, type, from) \
  Info *link = (Info *)from->pNext; \
  while (link && !(link->sType == type && link->function == VK_LAYER_LINK_INFO)) link = (Info *)link->pNext; \
  if (!link) return VK_ERROR_INITIALIZATION_FAILED
CALL(VkResult) CreateInstance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a, VkInstance *made) {
  LINK(VkLayerInstanceCreateInfo, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO, info);
  nextInstance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  VkResult result = ((PFN_vkCreateInstance)nextInstance(NULL, "vkCreateInstance"))(info, a, made);
  theInstance = *made;
  return result;
}
CALL(VkResult) CreateDevice(VkPhysicalDevice d, const VkDeviceCreateInfo *info, const VkAllocationCallbacks *a, VkDevice *made) {
  LINK(VkLayerDeviceCreateInfo, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO, info);
  nextDevice = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  PFN_vkGetInstanceProcAddr next = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const char *names[256];
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR feature = {
    VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR, (void *)info->pNext, VK_TRUE};
  VkDeviceCreateInfo more = *info;
  memcpy(names, info->ppEnabledExtensionNames, info->enabledExtensionCount * sizeof *names);
  names[more.enabledExtensionCount++] = VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME;
  more.ppEnabledExtensionNames = names;
  more.pNext = &feature;
  VkResult result = ((PFN_vkCreateDevice)next(theInstance, "vkCreateDevice"))(d, &more, a, made);
  theDevice = *made;
  return result;
}

#define OURS(name, function) if (!strcmp(asked, #name)) return (PFN_vkVoidFunction)function;
#define SAME(f) OURS(vk##f, f)
CALL(PFN_vkVoidFunction) GetDeviceProcAddr(VkDevice d, const char *asked) {
  SAME(GetDeviceProcAddr) SAME(CreateSemaphore) OURS(vkDestroySemaphore, succeed) OURS(vkQueueSubmit, succeed)
  SAME(GetSemaphoreCounterValue) OURS(vkGetSemaphoreCounterValueKHR, GetSemaphoreCounterValue)
  OURS(vkWaitSemaphores, succeed) OURS(vkWaitSemaphoresKHR, succeed)
  SAME(GetBufferMemoryRequirements) SAME(AllocateMemory) SAME(MapMemory)
  OURS(vkFreeMemory, succeed) OURS(vkUnmapMemory, succeed)
  SAME(CreateComputePipelines)
  OURS(vkUpdateDescriptorSets, succeed) OURS(vkBindBufferMemory, succeed) OURS(vkBeginCommandBuffer, succeed)
  OURS(vkEndCommandBuffer, succeed) OURS(vkResetCommandBuffer, succeed) OURS(vkResetCommandPool, succeed)
  OURS(vkFlushMappedMemoryRanges, succeed) OURS(vkInvalidateMappedMemoryRanges, succeed)
  OURS(vkQueueWaitIdle, succeed) OURS(vkDeviceWaitIdle, succeed)
  if (!strncmp(asked, "vkCmd", 5)) return nextDevice(d, asked) ? (PFN_vkVoidFunction)succeed : NULL;
  return nextDevice(d, asked);
}
CALL(PFN_vkVoidFunction) GetInstanceProcAddr(VkInstance i, const char *asked) {
  SAME(GetInstanceProcAddr) SAME(CreateInstance) SAME(CreateDevice) SAME(GetDeviceProcAddr)
  OURS(vkGetPhysicalDeviceMemoryProperties, GetMemoryProperties)
  OURS(vkGetPhysicalDeviceMemoryProperties2, GetMemoryProperties2)
  OURS(vkGetPhysicalDeviceMemoryProperties2KHR, GetMemoryProperties2)
  return nextInstance(i, asked);
}
VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v) {
  v->loaderLayerInterfaceVersion = 2;
  v->pfnGetInstanceProcAddr = GetInstanceProcAddr;
  v->pfnGetDeviceProcAddr = GetDeviceProcAddr;
  v->pfnGetPhysicalDeviceProcAddr = NULL;
  return VK_SUCCESS;
}
