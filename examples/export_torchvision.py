#!/usr/bin/python3
"""Writes networks of torchvision as ONNX models that Espalier compiles.

Weights are pretrained where torchvision can download them (--weights pretrained), or seeded: drawn
at random, with the batch normalisations set from a few random batches so that activations keep a
sane range in every layer. Seeded models name nothing, but have the shapes, the operators and the
arithmetic of the real ones.
"""

import argparse
import sys
import warnings

SIZES = {
    "resnet18": 224,
    "resnet34": 224,
    "resnet50": 224,
    "resnet101": 224,
    "resnet152": 224,
    "inception_v3": 299,
    "googlenet": 224,
    "vgg11": 224,
    "vgg16": 224,
}


def parse(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=sorted(SIZES), help="which network")
    parser.add_argument("-o", "--output", help="file to write (NETWORK.onnx)")
    parser.add_argument("--size", type=int, help="height and width of the image (the network's own)")
    parser.add_argument(
        "--weights",
        choices=["seeded", "pretrained", "auto"],
        default="seeded",
        help="seeded; pretrained, which torchvision downloads; or auto: pretrained if it can "
        "(default: seeded)",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the seeded weights (default: 1)")
    parser.add_argument(
        "--transform-input",
        action="store_true",
        help="Inception-V3 and GoogLeNet take images normalised as the ResNets' are",
    )
    parser.add_argument("--opset", type=int, default=13, help="ONNX opset, 11 to 17 (default: 13)")
    parser.add_argument(
        "--keep-batch-norm", action="store_true", help="leave batch normalisation unfolded"
    )
    parser.add_argument(
        "--calibration",
        metavar="X.npy",
        help="also write a few random network inputs, N x 3 x size x size in float, to quantise with",
    )
    parser.add_argument(
        "--calibration-count", type=int, default=4, help="how many of them (default: 4)"
    )
    options = parser.parse_args(arguments)
    if not 11 <= options.opset <= 17:
        parser.error(f"--opset is {options.opset}; torch writes 11 to 17")
    if options.size is not None and not 32 <= options.size <= 1024:
        parser.error(f"--size is {options.size}; the limits are 32 and 1024")
    if options.transform_input and options.network not in ("inception_v3", "googlenet"):
        parser.error(f"--transform-input: {options.network} has none")
    return options


def images(torch, count, size, generator):
    """Smooth random images with a mean of 0 and a deviation of 1, as normalised photographs have."""
    import torch.nn.functional as functional

    total = torch.zeros(count, 3, size, size)
    for cells in (4, 16, 64):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        total += functional.interpolate(noise, size=(size, size), mode="bicubic")
    return (total - total.mean()) / total.std()


def build(options, torch, torchvision):
    """The network in evaluation mode, and whether its weights are pretrained."""
    extra = {}
    if options.network in ("inception_v3", "googlenet"):
        extra = {"transform_input": options.transform_input, "aux_logits": True}
    make = getattr(torchvision.models, options.network)
    if options.weights != "seeded":
        try:
            network = make(pretrained=True, **extra)
            # Pretrained constructors set transform_input as their weights want it.
            if "transform_input" in extra:
                network.transform_input = options.transform_input
            return network.eval(), True
        except Exception as error:  # whatever the download fails with
            if options.weights == "pretrained":
                sys.exit(f"export_torchvision: no pretrained weights: {error}")
            print(f"no pretrained weights ({error}); using seeded ones", file=sys.stderr)
    if extra:
        extra.update(aux_logits=False, init_weights=False)
    torch.manual_seed(options.seed)
    network = make(pretrained=False, **extra)
    settle(options, torch, network)
    return network.eval(), False


def settle(options, torch, network):
    """Draws weights, and sets batch statistics from random batches, layer after layer at once."""
    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
            module.momentum = None  # statistics are the mean over the batches
            module.reset_running_stats()
    generator = torch.Generator().manual_seed(options.seed)
    size = min(options.size or SIZES[options.network], 128)
    network.train()
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    with torch.no_grad():
        for _ in range(2):
            network(images(torch, 4, size, generator))


def main(arguments):
    options = parse(arguments)
    warnings.filterwarnings("ignore")
    try:
        import torch
        import torchvision
    except ImportError as error:
        sys.exit(
            f"export_torchvision: {error}; on Debian: apt install python3-torch python3-torchvision "
            "python3-onnx"
        )
    size = options.size or SIZES[options.network]
    output = options.output or f"{options.network}.onnx"
    network, pretrained = build(options, torch, torchvision)
    generator = torch.Generator().manual_seed(options.seed + 1)
    example = images(torch, max(1, options.calibration_count), size, generator)
    mode = torch.onnx.TrainingMode
    torch.onnx.export(
        network,
        example[:1],
        output,
        opset_version=options.opset,
        input_names=["input"],
        output_names=["logits"],
        training=mode.PRESERVE if options.keep_batch_norm else mode.EVAL,
        do_constant_folding=not options.keep_batch_norm,
    )
    kind = "pretrained" if pretrained else f"seeded with {options.seed}"
    print(f"{output}: {options.network}, {size} x {size}, weights {kind}")
    if options.calibration:
        import numpy

        numpy.save(options.calibration, example.numpy())
        print(f"{options.calibration}: {len(example)} network inputs")


if __name__ == "__main__":
    main(sys.argv[1:])
